"""`manager watch --metrics`: what Prometheus reads, from the last look at the fleet.

families       one look → metric families; pure
targets        one look → targets.json, with which Prometheus finds the bots' own metrics; pure
publisher      the latest look, measured and kept for the next scrape
endpoint       the HTTP server
"""
