"""Declare every command with its options once, in the order and under the headings of `manager --help`.

No command's module is imported here: `manager ps` must not load what only `manager top` needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from manager.cli import argument_types
from manager.i18n import _, mark

Option = Callable[[argparse.ArgumentParser], None]


class Command(NamedTuple):
    """Describe one command: its function in cli/commands (`up.up`), its help text, its options.

    `examples`: command lines without the leading `manager`.
    """

    function: str
    text: str
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()


def option(*flags: str, text: str, **keywords: Any) -> Option:
    """Declare an option or a positional argument, whose help is translated when a parser is built."""

    def add(command: argparse.ArgumentParser) -> None:
        command.add_argument(*flags, help=_(text), **keywords)

    return add


def flag(*flags: str, text: str) -> Option:
    """Declare an option without a value."""
    return option(*flags, text=text, action="store_true")


IDS = option("ids", text=mark("instances (default: the whole fleet)"), nargs="*", metavar="ID")
CONFIG = option(
    "-c", "--config", text=mark("the config of the instance"), action="append", default=[], metavar="FILE"
)
INSTANCE_ID = option(
    "--instance-id", text=mark("the instance's id; with --config: the id to run it under"), metavar="ID"
)
SELECTING = (IDS, CONFIG, INSTANCE_ID)
METRICS = option(
    "--metrics",
    text=mark("also serve metrics for Prometheus at this address, under /metrics"),
    type=argument_types.listen_address,
    metavar="HOST:PORT",
)
LIST_OF: Mapping[str, Any] = {"action": "extend", "default": []}
HOSTS = flag("--hosts", text=mark("here and on all hosts of config/hosts.toml"))
JSON = flag("--json", text=mark("print JSON"))
WORST_FIRST = option(
    "--sort",
    text=mark("worst: instances that need attention first, live before paper"),
    choices=("id", "worst"),
    default="id",
)
FORMAT = option(
    "--format",
    text=mark("print the table in this format, with nothing truncated: plain, github, html, tsv and others"),
    type=argument_types.table_format,
    metavar="FORMAT",
)
LOCK_WAIT = option(
    "--lock-wait",
    text=mark("wait for another manager to finish"),
    type=argument_types.seconds,
    default=0.0,
    metavar="SECONDS",
)
DRY_RUN = flag("--dry-run", text=mark("show what would be done, without doing it"))
RECREATE = flag("--recreate", text=mark("also recreate instances that run an older image"))
REMOVE_ORPHANS = flag("--remove-orphans", text=mark("also remove containers that have no config"))
WAITING = (
    flag("--wait", text=mark("wait until the instances are healthy")),
    option(
        "--wait-timeout",
        text=mark("default: 120"),
        type=argument_types.seconds,
        default=120.0,
        metavar="SECONDS",
    ),
)
BACKUPS_IN = option(
    "--to", text=mark("the folder of the backups (default: backups/ in the data folder)"), metavar="DIR"
)
RETENTION = (
    option(
        "--keep",
        text=mark("keep only the newest N, 0 for all"),
        type=argument_types.whole(0, 100_000),
        metavar="N",
    ),
    option(
        "--keep-days",
        text=mark("keep only those of the last D days, 0 for all"),
        type=argument_types.whole(0, 100_000),
        metavar="D",
    ),
)
FORCE = flag("--force", text=mark("ignore the lock that another manager holds"))
YES = flag("-y", "--yes", text=mark("do not ask for confirmation before stopping a fleet with live bots"))
CLOSE_YES = flag("-y", "--yes", text=mark("do not ask before positions are closed"))
PRICE_BOUND = option(
    "--price-bound",
    text=mark("accept no price that is worse than the market's by more than this percentage (default: 1)"),
    type=argument_types.percentage,
    default="1",
    metavar="PERCENT",
)
CHANGING = (*SELECTING, JSON, LOCK_WAIT, DRY_RUN)

GROUPS: Mapping[str, Mapping[str, Command]] = {
    mark("start and stop"): {
        "up": Command(
            "up.up",
            mark("create and start the fleet as its configs describe"),
            (*CHANGING, RECREATE, REMOVE_ORPHANS, *WAITING),
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
            (*CHANGING, *WAITING, YES),
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
                    type=argument_types.whole(1, 10_000),
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
                flag(
                    "--group",
                    text=mark(
                        "group by the configs' metadata.tags; an instance is listed under each of its tags"
                    ),
                ),
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
            (*SELECTING, JSON, FORMAT, WORST_FIRST, HOSTS),
            ("stats", "stats bp_sol_01 bp_eth_01", "stats --format tsv > stats.tsv", "stats --json"),
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
        "history": Command(
            "history.history",
            mark("show what instances earned, day by day, and what happened to them, removed ones too"),
            (
                *SELECTING,
                JSON,
                FORMAT,
                option(
                    "--since",
                    text=mark("only from then on: 10m, 2h, 3d ago, a local date and time, or RFC 3339"),
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
                    text=mark("only lines since then: 10m, 2h, 3d ago, a local date and time, or RFC 3339"),
                    type=argument_types.moment,
                    metavar="TIME",
                ),
                option(
                    "--until", text=mark("only lines until then"), type=argument_types.moment, metavar="TIME"
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
                    nargs=argparse.REMAINDER,
                    metavar="COMMAND",
                ),
            ),
            ("exec bp_sol_01", "exec bp_sol_01 ls -la /app/logs", "exec bp_sol_01 cat /app/run.py > run.py"),
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
    mark("maintenance"): {
        "doctor": Command(
            "doctor.doctor",
            mark("check the machine, the engine and the project, and suggest remedies"),
            (
                JSON,
                FORMAT,
                flag(
                    "--live",
                    text=mark("also ask the exchanges whether the live instances can trade at a profit"),
                ),
                option(
                    "--report",
                    text=mark("also write a report for bug reports, without credentials and names"),
                    metavar="FILE",
                ),
            ),
            ("doctor", "doctor --live", "doctor --report report.txt"),
        ),
        "backup": Command(
            "backup.backup",
            mark("back up databases, configs and state into one file, while the bots run"),
            (*SELECTING, JSON, BACKUPS_IN, *RETENTION),
            ("backup", "backup --to /mnt/disk/botfleet --keep 30", "backup verify FILE"),
        ),
        "backup verify": Command(
            "backup.backup_verify",
            mark("verify backups: checksums, content, every database"),
            (
                option("files", text=mark("backups"), nargs="+", metavar="FILE"),
                option(
                    "--restore",
                    action="store_true",
                    text=mark("rehearse a restore into a scratch folder, and compare every table's rows"),
                ),
                JSON,
            ),
            (
                "backup verify volumes/backups/backup-botfleet-20260301-040000.tar.gz",
                "backup verify --restore FILE",
            ),
        ),
        "backup list": Command("backup.backup_list", mark("list the backups"), (BACKUPS_IN, JSON, FORMAT)),
        "restore": Command(
            "restore.restore",
            mark("restore a backup; present files are moved aside"),
            (
                option("file", text=mark("a backup"), metavar="FILE"),
                option(
                    "ids", text=mark("instances (default: everything in the backup)"), nargs="*", metavar="ID"
                ),
                JSON,
                LOCK_WAIT,
                DRY_RUN,
            ),
            ("restore --dry-run FILE", "restore FILE bp_sol_01"),
        ),
    },
    mark("monitoring"): {
        "watch": Command(
            "watch.watch",
            mark(
                "run in the foreground: keep instances.json current, restart bots after an"
                " engine crash, send alerts"
            ),
            (METRICS,),
            ("watch", "watch --metrics 127.0.0.1:9095", "install-service"),
        ),
        "serve": Command(
            "serve.serve",
            mark("the fleet's page in a browser, and its API; watches the fleet as `watch` does"),
            (
                option(
                    "what",
                    text=mark("of the one that runs: end it, say its address, or print a link that signs in"),
                    nargs="?",
                    choices=("stop", "status", "link"),
                ),
                option(
                    "--listen",
                    text=mark("the address (default: 127.0.0.1:8800, or the next port that is free)"),
                    type=argument_types.listen_address,
                    metavar="HOST:PORT",
                ),
                flag("--detach", text=mark("run in the background")),
                option(
                    "--name",
                    text=mark("a name of the page for browsers, such as fleet.example.org"),
                    action="append",
                    default=[],
                    metavar="NAME",
                ),
                option("--tls-cert", text=mark("the certificate, with its chain"), metavar="FILE"),
                option("--tls-key", text=mark("the certificate's key"), metavar="FILE"),
                option(
                    "--behind-proxy",
                    text=mark(
                        "only a reverse proxy of this address connects, and it speaks TLS with browsers"
                    ),
                    action="append",
                    default=[],
                    metavar="CIDR",
                ),
                option(
                    "--bot-origin",
                    text=mark("the origin of each bot's own page, such as https://{id}.bots.example"),
                    metavar="URL",
                ),
                flag("--set-password", text=mark("ask for the password of a role, and store its hash")),
                flag("--set-code", text=mark("print a secret for one-time codes, which passwords then need")),
                option("--add-token", text=mark("print a new token for a program"), metavar="NAME"),
                option(
                    "--remove-token",
                    text=mark("no longer accept a program's token"),
                    action="append",
                    default=[],
                    metavar="NAME",
                ),
                option(
                    "--role",
                    text=mark("of a password or token: look only, look and halt, or everything"),
                    choices=("read", "halt", "operate"),
                    default="operate",
                ),
            ),
            ("serve", "serve --detach", "serve link", "serve stop", "serve --listen 127.0.0.1:8080"),
        ),
        "alert test": Command(
            "alert.alert_test",
            mark("send a test message to every address of alerts.urls"),
            (JSON,),
            ("alert test",),
        ),
        "install-service": Command(
            "install_service.install_service",
            mark("run `manager watch` as a systemd service that starts at boot"),
            (
                METRICS,
                flag("--serve", text=mark("run `manager serve`, which watches too and has the page")),
                flag("--print", text=mark("only print the unit")),
                flag("--remove", text=mark("stop the service and remove the unit")),
            ),
            ("install-service", "install-service --print"),
        ),
    },
    mark("other machines"): {
        "host add": Command(
            "host.add",
            mark("check another machine and add it to config/hosts.toml"),
            (
                option("name", text=mark("its name here"), metavar="NAME"),
                option(
                    "url",
                    text=mark("where its project folder is: ssh://USER@HOST:PORT/FOLDER"),
                    metavar="URL",
                ),
            ),
            ("host add tokyo ssh://trader@tokyo.example/srv/desk", "--host tokyo ps", "ps --hosts"),
        ),
        "host list": Command(
            "host.list_", mark("show the machines of config/hosts.toml"), (JSON, FORMAT), ("host list",)
        ),
        "host check": Command(
            "host.check",
            mark("check login, clock, manager, folder and engine of other machines"),
            (option("names", text=mark("hosts (default: all)"), nargs="*", metavar="NAME"),),
            ("host check", "host check tokyo"),
        ),
        "host remove": Command(
            "host.remove",
            mark("forget a machine; what runs there goes on"),
            (option("name", text=mark("its name here"), metavar="NAME"),),
            ("host remove tokyo",),
        ),
    },
    mark("configs and files"): {
        "init": Command(
            "init.init",
            mark("create a fleet folder: settings, templates and one example, which trades on paper"),
            (
                option(
                    "folder",
                    text=mark("the folder (default: this one)"),
                    nargs="?",
                    default=".",
                    metavar="DIR",
                ),
            ),
            ("init", "init ~/fleet"),
        ),
        "config": Command(
            "config.config",
            mark("show the configs with all defaults resolved"),
            (*SELECTING, JSON, flag("--check", text=mark("only check whether the configs are valid"))),
            ("config bp_sol_01", "config --check"),
        ),
        "config schema": Command(
            "config.schema",
            mark("print the JSON Schema of a config, for editors"),
            (),
            ("config schema", "config schema > config/schema.json"),
        ),
        "backtest": Command(
            "backtest.backtest",
            mark("run a config's strategy over recorded prices"),
            (
                option("config_file", text=mark("a config file, or an instance's id"), metavar="CONFIG"),
                option(
                    "data",
                    text=mark("the prices: columns time and price, or time, open, high, low and close"),
                    metavar="DATA.csv",
                ),
                option("--svg", text=mark("draw price, trades and P&L into this file"), metavar="FILE"),
                option(
                    "--maker-fee",
                    text=mark("what a resting order costs, as a share of its value"),
                    type=argument_types.number,
                    metavar="SHARE",
                ),
                option(
                    "--taker-fee",
                    text=mark("what an order that takes costs, as a share of its value"),
                    type=argument_types.number,
                    metavar="SHARE",
                ),
                option(
                    "--market-spread",
                    text=mark("the distance between best bid and best ask, as a share of the price"),
                    type=argument_types.number,
                    metavar="SHARE",
                ),
                option(
                    "--queue",
                    text=mark("last: an order is filled when the price goes through it; first: at a touch"),
                    choices=("last", "first"),
                ),
                option(
                    "--funding-rate",
                    text=mark("what longs pay every eight hours, as a share of the position"),
                    type=argument_types.number,
                    metavar="SHARE",
                ),
                JSON,
            ),
            (
                "backtest config/active/bp_sol_01.json prices.csv",
                "backtest bp_sol_01 prices.csv --svg run.svg --maker-fee 0.0001",
            ),
        ),
        "new": Command(
            "new.new",
            mark("create a config from a template"),
            (
                option(
                    "--template",
                    text=mark("a file of config/templates, without .json, or any config file"),
                    metavar="T",
                ),
                option("--id", text=mark("the new instance's id, which also names its file"), metavar="ID"),
                option("--symbol", text=mark("what it trades"), metavar="S"),
                option("--exchange", text=mark("the exchange (default: the template's)"), metavar="E"),
                option(
                    "--port", text=mark("its web port (default: the next free one)"), type=int, metavar="P"
                ),
                option(
                    "--lower",
                    text=mark("the grid's lower bound, a price"),
                    type=argument_types.number,
                    metavar="PRICE",
                ),
                option(
                    "--upper",
                    text=mark("the grid's upper bound, a price"),
                    type=argument_types.number,
                    metavar="PRICE",
                ),
                option(
                    "--quantity", text=mark("one order's quantity"), type=argument_types.number, metavar="Q"
                ),
                option(
                    "--max-position",
                    text=mark("the largest position"),
                    type=argument_types.number,
                    metavar="Q",
                ),
                option(
                    "--set",
                    text=mark("any other key: path.to.key=VALUE, VALUE as JSON or plain text"),
                    action="append",
                    default=[],
                    metavar="KEY=VALUE",
                ),
                flag("--list", text=mark("list the templates")),
                FORMAT,
                JSON,
                LOCK_WAIT,
                DRY_RUN,
            ),
            (
                "new --list",
                "new --template perp_grid --id bp_btc_01 --symbol BTC_USDC_PERP --lower 90000 --upper 110000"
                " --quantity 0.001 --max-position 0.01",
                "new --template config/active/bp_sol_01.json --id bp_sol_03 --symbol SOL_USDC_PERP --set"
                " grid_num=30",
            ),
        ),
        "import": Command(
            "import_.import_",
            mark("import a folder of the old system, which is left unchanged"),
            (
                option("folder", text=mark("the old system's folder"), metavar="DIR"),
                option("ids", text=mark("instances (default: all of the folder)"), nargs="*", metavar="ID"),
                flag(
                    "--yes",
                    text=mark(
                        "carry out the plan without asking; otherwise it is shown, and on a"
                        " terminal confirmed"
                    ),
                ),
                flag("--stop-old", text=mark("stop the old daemons of the imported instances")),
                flag("--logs", text=mark("also copy the dated logs")),
                flag("--env", text=mark("also copy the values of .env, not only the names")),
                JSON,
                LOCK_WAIT,
                DRY_RUN,
            ),
            ("import ~/old", "import ~/old --yes", "import ~/old bp_sol_01 --stop-old --yes"),
        ),
        "compose": Command(
            "compose.compose",
            mark("render compose.yaml"),
            (LOCK_WAIT, flag("--stdout", text=mark("print the file, write nothing"))),
            ("compose", "compose --stdout"),
        ),
        "export": Command(
            "export.export_",
            mark("write logs/instances.json now"),
            (JSON, LOCK_WAIT),
            ("export", "export --lock-wait 60"),
        ),
        "build": Command(
            "build.build",
            mark("build the bot image"),
            (
                option("--bot", text=mark("a bot of your own: the folder with its run.py"), metavar="DIR"),
                option("--tag", text=mark("the image's name (default: what the fleet uses)"), metavar="TAG"),
                flag("--no-cache", text=mark("build every layer again")),
            ),
            ("build", "build --bot ../my-bot"),
        ),
    },
}
"""Every command, in the order and under the heads of `manager --help`.

A command of two words is written as two.
"""

COMMANDS: Mapping[str, Command] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}
