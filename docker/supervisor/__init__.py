"""Run one bot as the entry point of its container: restart it, write its logs, probe its health.

The contract is `docker/README.md`. Only the standard library is used, and as little of it as possible,
because each import is resident memory in every container of the fleet (`typing` costs 0.6 MB, `dataclasses`
1.5, `http.client` 6).

    main                        the lock, the settings, what an earlier life left; then the runner
    runner, cancel              starts, probes, ends and restarts the bot; cancels the orders of a live one
    that failed
    policy, health, settings    pure decisions
    reasons, state, status, text     what is written for the manager and the engine
    halt_mark, turn, environment, report, lock, files, anchor, bot, probe, host, clock,
    retention                   one external resource each
    run, streams, output, dated, day_budget, journal    where the bot's and our own lines go
    loop                        descriptors, timers and signals
    suppress                    `contextlib.suppress` without the rest of its module
    once                        runs a program that answers a question, instead of a bot
"""
