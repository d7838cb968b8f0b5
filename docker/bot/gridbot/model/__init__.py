"""Types that every room shares.

types      side, market, order, fill, and rounding to a step
condition  what the bot is doing
errors     exceptions and their exit codes
"""
