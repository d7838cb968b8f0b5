"""Whatever only looks. `watch` alone does more: it starts again what an engine's death left down, by ops.

stats/      what instances use, and what their bots report
history/    what they earned and did, also those that are gone
logs/       what the bots print
doctor/     what is wrong with machine, engine and project
top/        the fleet full-screen
watch/      the resident that sends alerts
"""
