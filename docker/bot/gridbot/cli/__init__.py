"""Hold the programs: what /app/run.py and the programs beside it call.

main           run the bot from argv to exit code
open_orders    print this bot's open orders as JSON
cancel_orders  cancel this bot's orders and print how many the exchange still lists
preflight      print what a live run would fail or lose by
close_position  close what this bot's record holds
backtest  run a strategy over recorded prices
backtest_picture  draw it
"""
