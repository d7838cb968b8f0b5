"""Run one bot as the entry point of its container: restart it, write its logs, probe its health.

The contract is `docker/README.md`. Only the standard library is used, and as little of it as possible,
because each import is resident memory in every container of the fleet, and delays each start (`typing` costs
0.6 MB, `json` with `re` and `enum` 1.1, `dataclasses` 1.5, `http.client` 6).

    main                        the lock, the settings, what an earlier life left; then the runner
    runner, cancel              starts, probes, ends and restarts the bot; cancels the orders of a live one
    that failed
    policy, health, settings    pure decisions
    reasons, state, status, exits, text     what is written for the manager and the engine
    halt_mark, turn, environment, report, lock, files, anchor, bot, probe, host, clock,
    retention                   one external resource each
    run, streams, output, dated, day_budget, journal    where the bot's and our own lines go
    loop                        descriptors, timers and signals
    json_text, signals, suppress     parts of `json`, `signal` and `contextlib`, without what they load
    once                        runs a program that answers a question, instead of a bot
"""
