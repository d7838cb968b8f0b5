"""Declare the commands that change, show and enter a fleet."""

from __future__ import annotations

from collections.abc import Mapping

from manager.cli import argument_types
from manager.cli.command_options import (
    CHANGING,
    CLOSE_EXIT_CODES,
    CLOSE_YES,
    CONFIG,
    EXEC_EXIT_CODES,
    FORCE,
    FORMAT,
    GROUPED,
    HALT_EXIT_CODES,
    HOST_IS_DEAD,
    HOSTS,
    INSTANCE_ID,
    JSON,
    LIST_OF,
    LOCK_WAIT,
    PRICE_BOUND,
    RECREATE,
    REMOVE_ORPHANS,
    REST,
    SELECTING,
    STATS_COLUMNS,
    WAITING,
    WORST_FIRST,
    YES,
    Command,
    flag,
    option,
)
from manager.i18n import mark

FLEET_GROUPS: Mapping[str, Mapping[str, Command]] = {
    mark("start and stop"): {
        "up": Command(
            "up.up",
            mark("create and start the fleet as its configs describe"),
            (*CHANGING, RECREATE, REMOVE_ORPHANS, HOST_IS_DEAD, *WAITING),
            ("up --wait", "up --dry-run", "up bp_sol_01"),
        ),
        "down": Command(
            "down.down",
            mark("stop and remove containers; logs, databases and env files stay"),
            (*CHANGING, REMOVE_ORPHANS, FORCE, YES),
            ("down", "down bp_sol_01"),
        ),
        "start": Command(
            "start.start",
            mark("start instances that do not run"),
            (
                *CHANGING,
                HOST_IS_DEAD,
                *WAITING,
                flag("-d", "--daemon", text=mark("accepted; instances always run in the background")),
            ),
            ("start bp_sol_01", "start --config config/active/bp_sol_01.json --daemon"),
        ),
        "stop": Command(
            "stop.stop",
            mark("stop instances and keep them stopped"),
            (*CHANGING, FORCE, YES),
            ("stop bp_sol_01", "stop"),
        ),
        "restart": Command(
            "restart.restart",
            mark("stop and start instances"),
            (*CHANGING, HOST_IS_DEAD, *WAITING, YES),
            ("restart bp_sol_01 --wait",),
        ),
        "upgrade": Command(
            "upgrade.upgrade",
            mark(
                "roll out a new image or changed configs: one first, then in batches; failures are rolled"
                " back"
            ),
            (
                *CHANGING,
                option(
                    "--canary",
                    text=mark("the instance to upgrade first (default: a healthy one on paper)"),
                    metavar="ID",
                ),
                option(
                    "--batch",
                    text=mark("how many at a time after the first (default: a tenth)"),
                    type=argument_types.integer(1, 10_000),
                    metavar="N",
                ),
                option(
                    "--ready",
                    text=mark("how long each must be healthy without a restart (default: 30)"),
                    type=argument_types.seconds,
                    default=30.0,
                    metavar="SECONDS",
                ),
                option(
                    "--wait-timeout",
                    text=mark("how long each may take to become healthy (default: 120)"),
                    type=argument_types.seconds,
                    default=120.0,
                    metavar="SECONDS",
                ),
            ),
            ("upgrade --dry-run", "upgrade --canary bp_sol_01 --batch 5", "upgrade bp_eth_02 --ready 120"),
        ),
        "rollback": Command(
            "rollback.rollback",
            mark("undo the last upgrade"),
            (
                *CHANGING,
                HOST_IS_DEAD,
                option(
                    "--wait-timeout",
                    text=mark("default: 120"),
                    type=argument_types.seconds,
                    default=120.0,
                    metavar="SECONDS",
                ),
            ),
            ("rollback bp_sol_01", "rollback --dry-run"),
        ),
        "halt": Command(
            "halt.halt",
            mark("kill switch: stop everything at once, and verify that no orders are left"),
            (
                *SELECTING,
                JSON,
                HOSTS,
                flag(
                    "--close-positions",
                    text=mark("then also close what each instance itself holds, as `close` does"),
                ),
                PRICE_BOUND,
                CLOSE_YES,
            ),
            ("halt", "halt bp_sol_01", "halt --json", "halt --close-positions"),
            HALT_EXIT_CODES,
        ),
        "close": Command(
            "close.close",
            mark("close what halted or stopped instances hold themselves, at a bounded price"),
            (
                option("ids", text=mark("instances"), nargs="+", metavar="ID"),
                CONFIG,
                INSTANCE_ID,
                JSON,
                LOCK_WAIT,
                PRICE_BOUND,
                CLOSE_YES,
            ),
            ("close bp_sol_01", "close bp_sol_01 --price-bound 0.5 --yes"),
            CLOSE_EXIT_CODES,
        ),
        "resume": Command(
            "resume.resume",
            mark("start exactly what ran when the fleet was halted"),
            (*CHANGING, *WAITING),
            ("resume --wait", "resume --dry-run"),
        ),
        "plan": Command(
            "plan.plan_",
            mark("show what `up` would do, and why"),
            (
                *SELECTING,
                JSON,
                RECREATE,
                REMOVE_ORPHANS,
                flag(
                    "--live",
                    text=mark("also ask the exchanges what the live instances that start would fail by"),
                ),
            ),
            ("plan", "plan --live", "plan --recreate", "plan --json bp_sol_01"),
        ),
    },
    mark("inspect"): {
        "ps": Command(
            "ps.ps",
            mark("show the fleet"),
            (
                *SELECTING,
                JSON,
                HOSTS,
                FORMAT,
                option(
                    "--state",
                    text=mark("only those in this state"),
                    **LIST_OF,
                    type=argument_types.states,
                    metavar="STATE",
                ),
                option(
                    "--mode",
                    text=mark("only those in this mode: paper, live"),
                    **LIST_OF,
                    type=argument_types.modes,
                    metavar="MODE",
                ),
                option(
                    "--exchange",
                    text=mark("only those on this exchange"),
                    **LIST_OF,
                    type=argument_types.words,
                    metavar="NAME",
                ),
                option(
                    "--symbol",
                    text=mark("only those that trade this symbol; `SOL*` matches all that begin with SOL"),
                    **LIST_OF,
                    type=argument_types.words,
                    metavar="SYMBOL",
                ),
                option(
                    "--tag",
                    text=mark("only those with this tag"),
                    **LIST_OF,
                    type=argument_types.words,
                    metavar="TAG",
                ),
                GROUPED,
                option(
                    "-w",
                    "--watch",
                    text=mark("refresh every SECONDS (default: 2), until Ctrl-C"),
                    type=argument_types.interval,
                    nargs="?",
                    const=2.0,
                    metavar="SECONDS",
                ),
                WORST_FIRST,
            ),
            (
                "ps",
                "ps --sort worst",
                "ps --state failed,unhealthy",
                "ps --exchange backpack --symbol 'SOL*'",
                "ps --group --watch 5",
                "ps --format github",
                "ps --json",
            ),
        ),
        "list": Command(
            "list.list_",
            mark("list the fleet in the old system's format"),
            (*SELECTING, JSON, FORMAT),
            ("list", "list --json"),
        ),
        "status": Command(
            "status.status",
            mark("show one instance as JSON; exit code 0 if it runs and its bot needs no attention, else 1"),
            (*SELECTING, JSON),
            ("status bp_sol_01",),
        ),
        "stats": Command(
            "stats.stats",
            mark("show what each instance uses, and what its bot reports"),
            (*SELECTING, JSON, FORMAT, WORST_FIRST, STATS_COLUMNS, HOSTS),
            (
                "stats",
                "stats bp_sol_01 bp_eth_01",
                "stats --columns id,pnl,maker_share,reject_rate,max_drawdown,profit_per_grid,apr",
                "stats --format tsv > stats.tsv",
                "stats --json",
            ),
        ),
        "top": Command(
            "top.top",
            mark("watch the fleet full-screen, with keys to stop, start, restart"),
            (
                *SELECTING,
                option(
                    "-i",
                    "--interval",
                    text=mark("between two refreshes (default: 2)"),
                    type=argument_types.interval,
                    default=2.0,
                    metavar="SECONDS",
                ),
            ),
            ("top", "top --interval 5"),
        ),
        "orders": Command(
            "orders.orders",
            mark("ask the exchanges now which orders live instances have open, and what they hold"),
            (*SELECTING, JSON),
            ("orders", "orders bp_sol_01", "orders --json"),
        ),
        "history": Command(
            "history.history",
            mark("show what instances earned, day by day, and what happened to them, removed ones too"),
            (
                *SELECTING,
                JSON,
                FORMAT,
                option(
                    "--since",
                    text=mark("only from this time on: 10m, 2h, 3d ago, a local date and time, or RFC 3339"),
                    type=argument_types.moment,
                    metavar="TIME",
                ),
                flag("--trades", text=mark("print every trade as CSV, for a tax adviser")),
            ),
            (
                "history",
                "history bp_sol_01 --since 7d",
                "history --trades --since 2026-01-01 > trades.csv",
                "history --json",
            ),
        ),
        "logs": Command(
            "logs.logs",
            mark("show the bots' output"),
            (
                *SELECTING,
                HOSTS,
                flag("-f", "--follow", text=mark("follow the output")),
                option(
                    "-n",
                    "--tail",
                    text=mark("only the last N lines of each; with --grep, of those that match"),
                    type=argument_types.count,
                    metavar="N",
                ),
                option(
                    "--since",
                    text=mark(
                        "only lines since this time: 10m, 2h, 3d ago, a local date and time, or RFC 3339"
                    ),
                    type=argument_types.moment,
                    metavar="TIME",
                ),
                option(
                    "--until",
                    text=mark("only lines until this time"),
                    type=argument_types.moment,
                    metavar="TIME",
                ),
                option(
                    "--grep",
                    text=mark("only lines that match this regular expression; (?i) ignores case"),
                    type=argument_types.pattern,
                    metavar="PATTERN",
                ),
                flag("--errors", text=mark("only what was printed to stderr")),
                flag(
                    "-t",
                    "--timestamps",
                    text=mark("show the engine's timestamps; for lines of older files, the day"),
                ),
                flag("--json", text=mark("print one JSON object per line")),
            ),
            (
                "logs -f",
                "logs --tail 100 bp_sol_01",
                "logs --since 2h --errors",
                "logs --grep '(?i)filled|cancel' bp_sol_01",
                "logs --since '2026-01-31 08:00' --until 2026-01-31T09:00:00+08:00",
            ),
        ),
    },
    mark("access"): {
        "exec": Command(
            "exec.exec_",
            mark("run a command, or a shell, in an instance's container"),
            (
                option("instance", text=mark("the instance"), metavar="ID"),
                option(
                    "arguments",
                    text=mark("the command with its own options (default: a shell)"),
                    nargs=REST,
                    metavar="COMMAND",
                ),
            ),
            ("exec bp_sol_01", "exec bp_sol_01 ls -la /app/logs", "exec bp_sol_01 cat /app/run.py > run.py"),
            EXEC_EXIT_CODES,
        ),
        "open": Command(
            "open.open_",
            mark("open an instance's web page in the browser"),
            (*SELECTING, JSON, flag("--print", text=mark("only print the address"))),
            ("open bp_sol_01", "open --print bp_sol_01"),
        ),
        "completion": Command(
            "completion.completion_",
            mark("print the script with which a shell completes commands and instances"),
            (option("shell", text=mark("the shell"), choices=("bash", "zsh", "fish"), metavar="SHELL"),),
            (
                "completion bash >> ~/.bashrc",
                "completion zsh > ~/.zfunc/_manager",
                "completion fish > ~/.config/fish/completions/manager.fish",
            ),
        ),
    },
}
