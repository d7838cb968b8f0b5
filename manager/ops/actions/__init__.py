"""Define what changing commands do, tell and return, as data.

action     actions, their causes and outcomes: pure
answer     what an exchange says of an instance that is down: pure
events     what a changing command reports while it runs
result     what it returns, and the exit code of that: pure
"""
