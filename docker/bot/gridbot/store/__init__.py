"""Keep everything the bot did in one SQLite file.

store         writes runs, orders, trades and cells
order_reader  reads orders
samples       writes the equity curve and errors
drawdown      keeps the highest P&L, and the deepest fall below it
whole_run     keeps what deleted rows were
history       reads charts, trades and errors for the web port
ledger        position and P&L, exact
database      schema, lock, connections
memory  a record in memory, for backtests
"""
