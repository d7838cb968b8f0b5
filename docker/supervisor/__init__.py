"""The entry point of a bot's container: runs one bot, restarts it, writes its logs, probes its health.

The contract is `docker/README.md`. Standard library only, and little of that: each module imported here is
resident memory in every container of the fleet (`dataclasses` alone costs 1.5 MB, `http.client` 8 MB).

    settings, policy, health, clock, retention   decisions, free of effects but for the clean-up itself
    environment, host, state, lock, bot, probe   one thing outside each
    outlet, dated, pump, journal                 where the output goes
    loop, controller, main                       what holds them together
"""
