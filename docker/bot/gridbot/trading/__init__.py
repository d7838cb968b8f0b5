"""Run the trading loop: session, then tick after tick, then the way out.

session    choose exchange and market, begin or resume the run
preflight    what makes a run with real money impossible, or a loss
limit_checks   the largest order, number of orders and position that the exchange takes
share_checks   an order's quantity that was computed from max_position
liquidation  how far beyond the range a position would be liquidated
moved_range  orders that are too small where adjust_range moves the range
worst_case   what is held, and lost, at the end of the range
first_order  let the pre-flight decide whether a live run begins
loop       tick after tick, through outages
engine     one tick: read, record, decide, act
placing    send orders, and wait with what was just refused
run_ending  how a run ends, until its position is closed
run_figures  how a run goes, for its report
drawdown_watch  note the P&L of every tick
trade_log  what a run does, for people
position_watch  compare the account's position with the bot's own
other_keys  a run that goes on with keys that may be another account's
others_part  what of the account's position is not this bot's
fill_watch  wake the loop when a websocket tells of a fill
told_orders  orders that are sent on a websocket's word, and what becomes of them when it is not true
second_look  one print of a price ends no run
listing    read the open orders, and which of them are this bot's
reconcile  match recorded orders and trades with the exchange's
history_reads  since when executions are read, where an account has thousands of them
missing    an order that is in no list of the exchange: since when, and whether it is there under another id
late_fills  what was cancelled may have been filled all the same, and counts for a moment
strays     cancel what no list has any more, and may rest
unknown_orders  the condition of a bot of whose orders it is unknown what they have filled
nameless   an execution without an id that is known may be of an order whose answer was lost
outage     an exchange that does not answer
refusals   an exchange that refuses every order
retry      growing, jittered pauses
cancel     cancel this bot's orders before the exit
close      close what the record of a stopped bot holds
closed     what was agreed to before, and what has come of it
dead_man_switch  let the exchange cancel all orders when the bot falls silent
left_figures  what a bot that does not run has left, from its record
status     the report and the status as JSON
backtest  run a strategy over recorded prices
"""
