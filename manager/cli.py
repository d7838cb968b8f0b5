"""The command line: arguments in, an exit code out. The only place that catches errors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from manager import __version__, i18n
from manager.errors import BUG, USAGE, ManagerError

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

EPILOG = """\
examples:
  manager up --wait                  start the fleet and wait until it is healthy
  manager ps                         one line an instance
  manager logs -f bp_sol_01          follow one bot
  manager restart bp_eth_02          stop it, start it, with its config as it is now
  manager status --config config/active/bp_sol_01.json
  manager down                       stop and remove all containers; logs and databases stay
exit codes: 0 well, 1 not running or some failed, 2 usage, 3 a bug, 4 config, 5 no engine, 6 timed out or killed, 7 locked
"""

COMMANDS = {
    "up": ("change", "up", "bring the fleet to what its configs say"),
    "down": ("change", "down", "stop and remove containers; logs, databases and env files stay"),
    "ps": ("show", "ps", "show the fleet"),
    "start": ("change", "start", "start instances that do not run"),
    "stop": ("change", "stop", "stop instances and keep them stopped"),
    "restart": ("change", "restart", "stop and start instances"),
    "status": ("show", "status", "show one instance as JSON; exit code 0 when it runs, else 1"),
    "list": ("show", "list_", "show the fleet as the old system did"),
    "logs": ("logs", "logs", "show what the bots print"),
    "config": ("files", "config", "show the configs as they are understood"),
    "compose": ("files", "compose", "render compose.yaml"),
    "export": ("show", "export_", "write logs/instances.json now"),
    "plan": ("change", "plan_", "show what `up` would do, and why"),
    "build": ("files", "build", "build the bot image"),
}

SELECTING = frozenset(
    {"up", "down", "ps", "start", "stop", "restart", "status", "list", "logs", "config", "plan"}
)
CHANGING = frozenset({"up", "down", "start", "stop", "restart"})
STARTING = frozenset({"up", "start", "restart"})
SHOWING_JSON = frozenset({*CHANGING, "ps", "status", "list", "export", "plan", "config"})


def entry_point() -> None:
    """The `manager` script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Runs one command. Returns its exit code; only argparse's own exit on --help is an exception."""
    i18n.use_environment()
    args = parser().parse_args(argv)
    if args.lang:
        i18n.use(args.lang)
    try:
        return _run(args)
    except ManagerError as error:
        _complain(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads any more: not even the flush at exit
        return 0
    except Exception:  # noqa: BLE001 - a bug: its traceback goes to a file, not into a trader's face
        return _bug()


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(
        prog="manager",
        description="Runs a fleet of trading bots: one config, one Docker container.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"botfleet {__version__}")
    root.add_argument(
        "--project-dir", metavar="DIR", help="the folder that holds config/ (default: here or above)"
    )
    root.add_argument("--lang", metavar="LANG", help="en or zh-TW (default: MANAGER_LANG, then the locale)")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_module, _function, text) in COMMANDS.items():
        _add_options(commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + "."), name)
    return root


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}; `{self.prog} --help` shows what there is\n")


def _add_options(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(ids=[], config=[], instance_id=None)
    if name in SELECTING:
        command.add_argument("ids", nargs="*", metavar="ID", help="instances (default: the whole fleet)")
        command.add_argument(
            "-c", "--config", action="append", default=[], metavar="FILE", help="the instance of this config"
        )
        command.add_argument(
            "--instance-id", metavar="ID", help="an instance; with --config: the id to run it under"
        )
    if name in SHOWING_JSON:
        command.add_argument("--json", action="store_true", help="print JSON")
    if name in CHANGING or name in {"compose", "export"}:
        command.add_argument(
            "--lock-wait",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help="wait for another manager to finish",
        )
    if name in CHANGING:
        command.add_argument("--dry-run", action="store_true", help="show what would be done, and stop there")
    if name in {"up", "plan"}:
        command.add_argument(
            "--recreate", action="store_true", help="also recreate instances that run an older image"
        )
    if name in {"up", "plan", "down"}:
        command.add_argument(
            "--remove-orphans", action="store_true", help="also remove containers that no config names"
        )
    if name in STARTING:
        command.add_argument("--wait", action="store_true", help="wait until the instances are healthy")
        command.add_argument(
            "--wait-timeout", type=_seconds, default=120.0, metavar="SECONDS", help="default: 120"
        )
    if name in {"stop", "down"}:
        command.add_argument("--force", action="store_true", help="pass the lock that another manager holds")
    if name == "start":
        command.add_argument(
            "-d", "--daemon", action="store_true", help="accepted; instances always run in the background"
        )
    if name == "logs":
        command.add_argument("-f", "--follow", action="store_true", help="go on as new lines come")
        command.add_argument("-n", "--tail", type=int, metavar="N", help="only the last N lines of each")
        command.add_argument("-t", "--timestamps", action="store_true", help="show the engine's time stamps")
    if name == "config":
        command.add_argument("--check", action="store_true", help="only say whether the configs are sound")
    if name == "compose":
        command.add_argument("--stdout", action="store_true", help="print the file, write nothing")
    if name == "build":
        command.add_argument("--bot", metavar="DIR", help="a bot of your own: the folder with its run.py")
        command.add_argument("--tag", metavar="TAG", help="the image's name (default: what the fleet uses)")
        command.add_argument("--no-cache", action="store_true", help="build every layer anew")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError("must be 0-86400 seconds")
    return value


def _run(args: argparse.Namespace) -> int:
    from manager.context import Context

    module, function, _text = COMMANDS[args.command]
    _apply_instance_id(args)
    context = Context(args)
    try:
        return int(getattr(importlib.import_module(f"manager.commands.{module}"), function)(context))
    finally:
        context.close()


def _apply_instance_id(args: argparse.Namespace) -> None:
    """`--instance-id` is one more id, but when a config is started: then it names that config's instance."""
    if args.instance_id is None:
        return
    if not (args.config and args.command in STARTING):
        args.ids, args.config = [*args.ids, args.instance_id], []


def _complain(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def _bug() -> int:
    """Writes the traceback where a bug report finds it."""
    import tempfile
    import traceback

    name = f"botfleet-bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    path = Path(tempfile.gettempdir()) / name
    text = traceback.format_exc()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"botfleet {__version__}, python {sys.version}\n{text}")
        where = f"the traceback is in {path}"
    except OSError:
        where = text
    _complain(f"error: this is a bug in botfleet ({text.strip().splitlines()[-1]}); {where}")
    return BUG
