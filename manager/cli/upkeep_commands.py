"""Declare the commands around a fleet: upkeep, monitoring, other machines, configs and files."""

from __future__ import annotations

from collections.abc import Mapping

from manager.cli import argument_types
from manager.cli.command_options import (
    BACKUPS_IN,
    DRY_RUN,
    FORMAT,
    JSON,
    LOCK_WAIT,
    METRICS,
    RETENTION,
    SELECTING,
    Command,
    flag,
    option,
)
from manager.cli.host_commands import HOST_GROUPS
from manager.i18n import mark

UPKEEP_GROUPS: Mapping[str, Mapping[str, Command]] = {
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
                    text=mark(
                        "for a running `serve`: stop it, print its address, or print a link that signs in"
                    ),
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
                    text=mark("role of the password or token: view only, view and halt, or everything"),
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
        "alert list": Command(
            "alert.alert_list",
            mark("show which alerts are open, since when, and until when they are snoozed"),
            (JSON,),
            ("alert list", "alert list --json"),
        ),
        "alert snooze": Command(
            "alert.alert_snooze",
            mark("snooze the present alerts of instances until a time; new ones are sent as always"),
            (
                option("ids", text=mark("instances"), nargs="+", metavar="ID"),
                option(
                    "--until",
                    text=mark(
                        "when to send them again: 30m, 8h, 2d from now, a time of day, or a local date and"
                        " time (default: the next 08:00)"
                    ),
                    type=argument_types.later,
                    metavar="TIME",
                ),
                flag("--end", text=mark("end the snooze: send the alerts again")),
            ),
            ("alert snooze bp_sol_01", "alert snooze bp_sol_01 --until 8h", "alert snooze bp_sol_01 --end"),
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
    **HOST_GROUPS,
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
                option(
                    "config_file",
                    text=mark("a config file, from anywhere, or an instance's id"),
                    metavar="CONFIG",
                ),
                option(
                    "data",
                    text=mark("the prices: columns time and price, or time, open, high, low and close"),
                    metavar="DATA.csv",
                ),
                option("--svg", text=mark("draw price, trades and P&L into this file"), metavar="FILE"),
                option(
                    "--maker-fee",
                    text=mark("what a resting order costs, as a share of its value; below 0: a rebate"),
                    type=argument_types.signed_number,
                    metavar="SHARE",
                ),
                option(
                    "--taker-fee",
                    text=mark("what an order that takes costs, as a share of its value"),
                    type=argument_types.signed_number,
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
                    text=mark(
                        "what longs pay every eight hours, as a share (default: DATA.csv's funding_rate)"
                    ),
                    type=argument_types.signed_number,
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
