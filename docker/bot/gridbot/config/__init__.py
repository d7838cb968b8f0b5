"""Settings of a run.

args  read them from argv and environment
"""
