"""Programs: what /app/run.py and /app/open_orders.py call.

main         run the bot from argv to exit code
open_orders  print this bot's open orders as JSON
"""
