"""Declare the types that every room shares.

types      side, market, order, fill, and rounding to a step
levels     the prices of a grid
check      one check before real money
condition  what the bot is doing
errors     exceptions and their exit codes
"""
