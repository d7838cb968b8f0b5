"""Serve the web port: read-only answers for people, supervisors and Prometheus.

server   health, status, history, the page, and the controls behind a token
metrics  the status as Prometheus text
page/    the browser's part
"""
