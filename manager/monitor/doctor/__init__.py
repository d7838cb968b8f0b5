"""Find problems of the machine, the engine and the project.

facts                the data
probe_*              collect it, without changing anything; probe_mends: which command mends what
checks_*             judge it: pure, so that every finding is tested without an engine
remedies             what to do, in words that are true of this machine
findings, redact     the results, and a report that may be shared
"""
