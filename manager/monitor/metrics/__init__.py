"""Serve `manager watch --metrics`: metrics for Prometheus, from the last observation of the fleet.

families       one observation → metric families; pure
targets        one observation → targets.json, with which Prometheus finds the bots' own metrics; pure
publisher      the latest observation, measured and kept for the next scrape
other_hosts    the trader's other machines, asked in a thread
endpoint       the HTTP server
"""
