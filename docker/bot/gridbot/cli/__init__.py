"""Programs: what /app/run.py, /app/open_orders.py and /app/cancel_orders.py call.

main           run the bot from argv to exit code
open_orders    print this bot's open orders as JSON
cancel_orders  cancel this bot's orders and print how many the exchange still lists
backtest  run a strategy over recorded prices
backtest_picture  draw it
"""
