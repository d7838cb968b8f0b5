"""Reach exchanges, real and simulated, through one interface.

exchange          the interface
ccxt_exchange     a real exchange, through ccxt
order_match       find an order in its lists
ccxt_calls        one call of ccxt at a time, paced, by the exchange's clock
ccxt_client       ccxt's client of it: settings, keys, address
ccxt_errors       ccxt's errors as this bot's
error_words       what is said of them
closing           the same for closing a position: orders that never rest
stream            fills by websocket, as a reason to look
told_fills        what one of its updates says of an order
answers           ccxt's answers as this bot's types
answers_apex      what apex does otherwise
answers_aster     what aster does otherwise
answers_backpack  what backpack does otherwise
answers_lighter   what lighter does otherwise
answers_paradex   what paradex does otherwise
payments          a funding payment
values            the single values of an answer
answer_readers    which exchange has which of them
account_facts     what a run with real money depends on
lent_coins        what a spot account has lent
market_state      whether a market takes orders
key_permission    whether a key may trade
verification      what is known of each exchange's answers, and which of them refuse live
answer_check      whether known answers are read as they must be, before a live run
known_exchange    what gives them: an exchange to the adapter that trades
unknown_answers   whether what they then do not tell is read as unknown
told_check        the same of the websocket's messages
venues            addresses and credentials of each exchange
key_forms         what the credentials look like
signing_library   whether the library that signs, where it is not ccxt itself, can be used
paper             a simulated account
price_sources     prices for it: synthetic, live, replayed
recording         prices with times from a CSV file
"""
