"""Define what changing commands do, tell and return, as data.

action     actions, their causes and outcomes: pure
events     what a changing command reports while it runs
result     what it returns, and the exit code of that: pure
"""
