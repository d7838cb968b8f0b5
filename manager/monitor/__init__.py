"""Observe fleets without changing them. Only `watch` does more: it restarts what an engine crash stopped,
through ops.

disk/       what their folders take, and which bot fills the disk
stats/      what instances use, and what their bots report
history/   what they earned and did, also those that are gone
logs/       the bots' output
doctor/     checks of machine, engine and project
top/        the fleet full-screen
metrics/    what Prometheus reads of `watch`
watch/      alerts, and recovery after an engine crash
"""
