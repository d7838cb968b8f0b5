"""Serve `manager watch --metrics`: metrics for Prometheus, from the last observation of the fleet.

families       one observation → metric families; pure
targets        one observation → targets.json, with which Prometheus finds the bots' own metrics; pure
publisher      the latest observation, measured and kept for the next scrape
endpoint       the HTTP server
"""
