"""Keep the fleet's history: what its instances earned, did and were told, beyond stop, down and recreate.

model           samples, trades, events, watched times
sampling        instances → samples; which ones are thinned out with age (pure)
curve           samples → gaps, P&L per day, drawdown, sparkline (pure)
turning         which samples count at some moments only (pure)
summary         all of it for one instance, and as JSON (pure)
money           sums over currencies, by stated rates (pure)
database        the SQLite file: opened, checked, put aside when damaged
writing         the rows that `watch` adds and removes
queries         the rows that are read
spool_reader    the lines that commands have left
bot_database    what a bot's own database knows
fill            what `watch` missed, from those
schema_marks    whether its tables are others than before
run_ends        ends of runs whose databases are gone (pure)
recorder        the thread of `watch` that writes
reader          what `manager history` shows, with a `watch` or without
"""
