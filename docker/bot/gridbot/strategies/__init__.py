"""Decide without side effects: which orders to place and cancel.

strategy  the interface, and the two strategies that implement it
grid      levels, cells and the orders they need
doubled   what would trade a cell twice
late_position  what was filled of orders from before a grid began
quotes    two-sided quotes around the price
risk      stop loss, take profit, range bounds
"""
