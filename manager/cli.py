"""The command line: arguments in, an exit code out. The only place that catches errors."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from manager import __version__, argparse_words, i18n
from manager.errors import BUG, USAGE, ManagerError
from manager.i18n import Text, _, mark

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

EPILOG = mark("""\
examples:
  manager up --wait                  start the fleet and wait until it is healthy
  manager ps                         one line an instance
  manager logs -f bp_sol_01          follow one bot
  manager restart bp_eth_02          stop it, start it, with its config as it is now
  manager status --config config/active/bp_sol_01.json
  manager down                       stop and remove all containers; logs and databases stay
exit codes: 0 well, 1 not running or some failed, 2 usage, 3 a bug, 4 config, 5 no engine, 6 timed out or killed, 7 locked
""")

COMMANDS = {
    "up": ("change", "up", mark("bring the fleet to what its configs say")),
    "down": ("change", "down", mark("stop and remove containers; logs, databases and env files stay")),
    "ps": ("show", "ps", mark("show the fleet")),
    "start": ("change", "start", mark("start instances that do not run")),
    "stop": ("change", "stop", mark("stop instances and keep them stopped")),
    "restart": ("change", "restart", mark("stop and start instances")),
    "status": ("show", "status", mark("show one instance as JSON; exit code 0 when it runs, else 1")),
    "list": ("show", "list_", mark("show the fleet as the old system did")),
    "logs": ("logs", "logs", mark("show what the bots print")),
    "config": ("files", "config", mark("show the configs as they are understood")),
    "compose": ("files", "compose", mark("render compose.yaml")),
    "export": ("show", "export_", mark("write logs/instances.json now")),
    "plan": ("change", "plan_", mark("show what `up` would do, and why")),
    "build": ("files", "build", mark("build the bot image")),
}

SELECTING = frozenset(
    {"up", "down", "ps", "start", "stop", "restart", "status", "list", "logs", "config", "plan"}
)
CHANGING = frozenset({"up", "down", "start", "stop", "restart"})
STARTING = frozenset({"up", "start", "restart"})
SHOWING_JSON = frozenset({*CHANGING, "ps", "status", "list", "export", "plan", "config"})


def entry_point() -> None:
    """The `manager` script. What the terminal's encoding cannot show is escaped: it must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Runs one command. Returns its exit code; only argparse's own exit on --help is an exception."""
    i18n.use(_language_asked(argv) or i18n.language_from(os.environ))
    if not argv:
        parser().print_help(sys.stderr)
        return USAGE
    args = parser().parse_args(argv)
    if args.lang:
        i18n.use(args.lang)
    try:
        return _run(args)
    except ManagerError as error:
        _complain(f"{_('error')}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _complain(_("interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads any more: not even the flush at exit
        return 0
    except Exception:  # noqa: BLE001 - a bug: its traceback goes to a file, not into a trader's face
        return _bug()


def parser() -> argparse.ArgumentParser:
    """The whole command line, in the language in use."""
    argparse_words.translate()
    root = Parser(
        prog="manager",
        description=_("Runs a fleet of trading bots: one config, one Docker container."),
        epilog=_(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument(
        "--version",
        action="version",
        version=f"botfleet {__version__}",
        help=_("show program's version number and exit"),
    )
    root.add_argument(
        "--project-dir", metavar="DIR", help=_("the folder that holds config/ (default: here or above)")
    )
    _add_language(root, None)
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_module, _function, text) in COMMANDS.items():
        command = commands.add_parser(name, help=_(text), description=_sentence(_(text)))
        _add_options(command, name)
        _add_language(command, argparse.SUPPRESS)
    return root


class Parser(argparse.ArgumentParser):
    """Usage errors in one line, with our exit code."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        text = Text("{prog}: {why}; `{prog} --help` shows what there is", prog=self.prog, why=message)
        self.exit(USAGE, f"{text}\n")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{_('.')}"


def _add_language(command: argparse.ArgumentParser, default: str | None) -> None:
    """Before or after the command's name."""
    command.add_argument(
        "--lang",
        type=_language,
        default=default,
        metavar="LANG",
        help=_("en or zh-TW (default: MANAGER_LANG, then the locale)"),
    )


def _language(tag: str) -> str:
    if not i18n.is_known(tag):
        raise argparse.ArgumentTypeError(
            _("must be one of {allowed}, not “{value}”").format(allowed=", ".join(i18n.LANGUAGES), value=tag)
        )
    return tag


def _language_asked(argv: Sequence[str]) -> str | None:
    """The `--lang` of a command line that is not parsed yet: its help and its errors are to speak that language too."""
    asked = None
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    for word, following in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        if option == "--lang" and i18n.is_known(value if equals else following):
            asked = value if equals else following
    return asked


def _add_options(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(ids=[], config=[], instance_id=None)
    if name in SELECTING:
        command.add_argument("ids", nargs="*", metavar="ID", help=_("instances (default: the whole fleet)"))
        command.add_argument(
            "-c",
            "--config",
            action="append",
            default=[],
            metavar="FILE",
            help=_("the instance of this config"),
        )
        command.add_argument(
            "--instance-id", metavar="ID", help=_("an instance; with --config: the id to run it under")
        )
    if name in SHOWING_JSON:
        command.add_argument("--json", action="store_true", help=_("print JSON"))
    if name in CHANGING or name in {"compose", "export"}:
        command.add_argument(
            "--lock-wait",
            type=_seconds,
            default=0.0,
            metavar="SECONDS",
            help=_("wait for another manager to finish"),
        )
    if name in CHANGING:
        command.add_argument(
            "--dry-run", action="store_true", help=_("show what would be done, and stop there")
        )
    if name in {"up", "plan"}:
        command.add_argument(
            "--recreate", action="store_true", help=_("also recreate instances that run an older image")
        )
    if name in {"up", "plan", "down"}:
        command.add_argument(
            "--remove-orphans", action="store_true", help=_("also remove containers that no config names")
        )
    if name in STARTING:
        command.add_argument("--wait", action="store_true", help=_("wait until the instances are healthy"))
        command.add_argument(
            "--wait-timeout", type=_seconds, default=120.0, metavar="SECONDS", help=_("default: 120")
        )
    if name in {"stop", "down"}:
        command.add_argument(
            "--force", action="store_true", help=_("pass the lock that another manager holds")
        )
    if name == "start":
        command.add_argument(
            "-d", "--daemon", action="store_true", help=_("accepted; instances always run in the background")
        )
    if name == "logs":
        command.add_argument("-f", "--follow", action="store_true", help=_("go on as new lines come"))
        command.add_argument("-n", "--tail", type=int, metavar="N", help=_("only the last N lines of each"))
        command.add_argument(
            "-t", "--timestamps", action="store_true", help=_("show the engine's time stamps")
        )
    if name == "config":
        command.add_argument("--check", action="store_true", help=_("only say whether the configs are sound"))
    if name == "compose":
        command.add_argument("--stdout", action="store_true", help=_("print the file, write nothing"))
    if name == "build":
        command.add_argument("--bot", metavar="DIR", help=_("a bot of your own: the folder with its run.py"))
        command.add_argument(
            "--tag", metavar="TAG", help=_("the image's name (default: what the fleet uses)")
        )
        command.add_argument("--no-cache", action="store_true", help=_("build every layer anew"))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(_("must be 0-86400 seconds"))
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
        where = str(Text("the traceback is in {path}", path=path))
    except OSError:
        where = text
    what = text.strip().splitlines()[-1]
    _complain(f"{_('error')}: {Text('this is a bug in botfleet ({what}); {where}', what=what, where=where)}")
    return BUG
