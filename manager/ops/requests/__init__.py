"""Keep the bots of one address within their exchanges' request limits.

request_budget    what bots ask of their exchanges, and what they may: pure
request_plan      holds a command's plan to it
request_files     tells each bot its share, and its turn to start
"""
