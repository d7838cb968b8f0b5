"""Read the settings of a run.

settings  the settings as one frozen object
args      read them from argv and environment
"""
