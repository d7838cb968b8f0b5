"""Provide what the process needs around trading: signals, output, shared state.

shared_state  state passed between the loop and the web threads
report_file   the report for the supervisor
stop_signal   SIGTERM as an object that wakes the loop
pace          this bot's share of its exchange's requests
handed_file   a small file that the manager hands over
secrecy       credentials are never said
log           output format
"""
