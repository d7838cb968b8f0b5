"""Types that every room shares.

types   side, market, order, fill, and rounding to a step
errors  exceptions and their exit codes
"""
