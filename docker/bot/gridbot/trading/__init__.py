"""The trading loop: session, then tick after tick, then the way out.

session    choose exchange and market, begin or resume the run
engine     one tick: read, record, decide, act
reconcile  match recorded orders and trades with the exchange's
cancel     cancel this bot's orders before the exit
status     the bot's state as JSON
"""
