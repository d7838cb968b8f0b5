"""The entry point of a bot's container: runs one bot, restarts it, writes its logs, probes its health.

The contract is `docker/README.md`. Standard library only, and little of that: what is imported here is resident
memory in every container of the fleet (`typing` costs 0.6 MB, `dataclasses` 1.5, `http.client` 6).

    settings, policy, health, clock, retention      decisions; of these only the clean-up has effects
    environment, host, files, state, lock, bot, probe   one outside thing each
    outlet, dated, pump, journal, board             where output, own lines and state go
    loop, keeper, main                              what holds them together
"""
