"""Exchanges, real and simulated, behind one interface.

exchange       the interface
ccxt_exchange  a real exchange, through ccxt
venues         addresses, credentials and signers of each exchange
paper          a simulated account
price_sources  prices for it: synthetic, live, replayed
recording  prices with times from a CSV file
"""
