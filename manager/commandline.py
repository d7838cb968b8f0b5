"""The command line's grammar: every command with its options, declared once. Builds parsers and runs nothing.

No command's own module is imported here: `manager ps` must not pay for what `manager top` needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from manager import __version__, argparse_words, argument_types, i18n
from manager.errors import USAGE
from manager.i18n import Text, _, mark

Option = Callable[[argparse.ArgumentParser], None]

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


class Command(NamedTuple):
    """One command: the function of manager/commands that does it (`change.up`), what it does in a line, what it takes.

    `examples`: command lines without the leading `manager`.
    """

    function: str
    text: str
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()


def option(*flags: str, text: str, **keywords: Any) -> Option:
    """An option, or a positional argument, whose help is translated when a parser is built."""

    def add(command: argparse.ArgumentParser) -> None:
        command.add_argument(*flags, help=_(text), **keywords)

    return add


def flag(*flags: str, text: str) -> Option:
    """An option without a value."""
    return option(*flags, text=text, action="store_true")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(_("must be 0-86400 seconds"))
    return value


def _language(tag: str) -> str:
    if not i18n.is_known(tag):
        raise argparse.ArgumentTypeError(
            _("must be one of {allowed}, not “{value}”").format(allowed=", ".join(i18n.LANGUAGES), value=tag)
        )
    return tag


IDS = option("ids", text=mark("instances (default: the whole fleet)"), nargs="*", metavar="ID")
CONFIG = option(
    "-c", "--config", text=mark("the instance of this config"), action="append", default=[], metavar="FILE"
)
INSTANCE_ID = option(
    "--instance-id", text=mark("an instance; with --config: the id to run it under"), metavar="ID"
)
SELECTING = (IDS, CONFIG, INSTANCE_ID)
LIST_OF: Mapping[str, Any] = {"action": "extend", "default": []}
JSON = flag("--json", text=mark("print JSON"))
LOCK_WAIT = option(
    "--lock-wait",
    text=mark("wait for another manager to finish"), type=_seconds, default=0.0, metavar="SECONDS",
)  # fmt: skip
DRY_RUN = flag("--dry-run", text=mark("show what would be done, and stop there"))
RECREATE = flag("--recreate", text=mark("also recreate instances that run an older image"))
REMOVE_ORPHANS = flag("--remove-orphans", text=mark("also remove containers that no config names"))
WAITING = (
    flag("--wait", text=mark("wait until the instances are healthy")),
    option(
        "--wait-timeout", text=mark("default: 120"), type=_seconds, default=120.0, metavar="SECONDS"
    ),
)  # fmt: skip
FORCE = flag("--force", text=mark("pass the lock that another manager holds"))
CHANGING = (*SELECTING, JSON, LOCK_WAIT, DRY_RUN)

GROUPS: Mapping[str, Mapping[str, Command]] = {
    mark("start and stop"): {
        "up": Command(
            "change.up", mark("bring the fleet to what its configs say"),
            (*CHANGING, RECREATE, REMOVE_ORPHANS, *WAITING),
            ("up --wait", "up --dry-run", "up bp_sol_01"),
        ),
        "down": Command(
            "change.down", mark("stop and remove containers; logs, databases and env files stay"),
            (*CHANGING, REMOVE_ORPHANS, FORCE), ("down", "down bp_sol_01"),
        ),
        "start": Command(
            "change.start", mark("start instances that do not run"),
            (
                *CHANGING, *WAITING,
                flag("-d", "--daemon", text=mark("accepted; instances always run in the background")),
            ),
            ("start bp_sol_01", "start --config config/active/bp_sol_01.json --daemon"),
        ),
        "stop": Command(
            "change.stop", mark("stop instances and keep them stopped"), (*CHANGING, FORCE),
            ("stop bp_sol_01", "stop"),
        ),
        "restart": Command(
            "change.restart", mark("stop and start instances"), (*CHANGING, *WAITING), ("restart bp_sol_01 --wait",)
        ),
        "plan": Command(
            "change.plan_", mark("show what `up` would do, and why"), (*SELECTING, JSON, RECREATE, REMOVE_ORPHANS),
            ("plan", "plan --recreate", "plan --json bp_sol_01"),
        ),
    },
    mark("look"): {
        "ps": Command(
            "ps.ps", mark("show the fleet"),
            (
                *SELECTING, JSON,
                option("--state", text=mark("only those in this state"), **LIST_OF, type=argument_types.states, metavar="STATE"),
                option("--mode", text=mark("only those that trade so: paper, live"), **LIST_OF, type=argument_types.modes, metavar="MODE"),
                option("--exchange", text=mark("only those on this exchange"), **LIST_OF, type=argument_types.words, metavar="NAME"),
                option(
                    "--symbol", text=mark("only those that trade this; `SOL*` is all that begin with SOL"),
                    **LIST_OF, type=argument_types.words, metavar="SYMBOL",
                ),
                option("--tag", text=mark("only those with this tag"), **LIST_OF, type=argument_types.words, metavar="TAG"),
                flag(
                    "--group",
                    text=mark("grouped by the configs' metadata.tags; an instance stands under each of its tags"),
                ),
                option(
                    "-w", "--watch", text=mark("draw it again every SECONDS (default: 2), until Ctrl-C"),
                    type=argument_types.interval, nargs="?", const=2.0, metavar="SECONDS",
                ),
            ),
            ("ps", "ps --state failed,unhealthy", "ps --exchange backpack --symbol 'SOL*'", "ps --group --watch 5", "ps --json"),
        ),
        "list": Command(
            "show.list_", mark("show the fleet as the old system did"), (*SELECTING, JSON), ("list", "list --json")
        ),
        "status": Command(
            "show.status", mark("show one instance as JSON; exit code 0 when it runs, else 1"), (*SELECTING, JSON),
            ("status bp_sol_01",),
        ),
        "logs": Command(
            "logs.logs", mark("show what the bots print"),
            (
                *SELECTING,
                flag("-f", "--follow", text=mark("go on as new lines come")),
                option(
                    "-n", "--tail", text=mark("only the last N lines of each; with --grep, of those that match"),
                    type=argument_types.count, metavar="N",
                ),
                option(
                    "--since", text=mark("only lines from then on: 10m, 2h, 3d ago, a local date and time, or RFC 3339"),
                    type=argument_types.moment, metavar="TIME",
                ),
                option("--until", text=mark("only lines up to then"), type=argument_types.moment, metavar="TIME"),
                option(
                    "--grep", text=mark("only lines in which this regular expression matches; (?i) ignores case"),
                    type=argument_types.pattern, metavar="PATTERN",
                ),
                flag("--errors", text=mark("only what was printed to stderr")),
                flag("-t", "--timestamps", text=mark("show the engine's time stamps; the day, for lines of older files")),
                flag("--json", text=mark("print a JSON object a line")),
            ),
            (
                "logs -f", "logs --tail 100 bp_sol_01", "logs --since 2h --errors", "logs --grep '(?i)filled|cancel' bp_sol_01",
                "logs --since '2026-01-31 08:00' --until 2026-01-31T09:00:00+08:00",
            ),
        ),
    },
    mark("reach"): {
        "exec": Command(
            "reach.exec_", mark("run a command, or a shell, in an instance's container"),
            (
                option("instance", text=mark("the instance"), metavar="ID"),
                option(
                    "arguments", text=mark("the command with its own options (default: a shell)"),
                    nargs=argparse.REMAINDER, metavar="COMMAND",
                ),
            ),
            ("exec bp_sol_01", "exec bp_sol_01 ls -la /app/logs", "exec bp_sol_01 cat /app/run.py > run.py"),
        ),
        "open": Command(
            "reach.open_", mark("open an instance's web page in the browser"),
            (*SELECTING, JSON, flag("--print", text=mark("only print the address"))),
            ("open bp_sol_01", "open --print bp_sol_01"),
        ),
        "completion": Command(
            "shell.completion_", mark("print the script with which a shell completes commands and instances"),
            (option("shell", text=mark("the shell"), choices=("bash", "zsh", "fish"), metavar="SHELL"),),
            ("completion bash >> ~/.bashrc", "completion zsh > ~/.zfunc/_manager", "completion fish > ~/.config/fish/completions/manager.fish"),
        ),
    },
    mark("configs and files"): {
        "config": Command(
            "files.config", mark("show the configs as they are understood"),
            (*SELECTING, JSON, flag("--check", text=mark("only say whether the configs are sound"))),
            ("config bp_sol_01", "config --check"),
        ),
        "compose": Command(
            "files.compose", mark("render compose.yaml"),
            (LOCK_WAIT, flag("--stdout", text=mark("print the file, write nothing"))), ("compose", "compose --stdout"),
        ),
        "export": Command(
            "show.export_", mark("write logs/instances.json now"), (JSON, LOCK_WAIT), ("export", "export --lock-wait 60")
        ),
        "build": Command(
            "files.build", mark("build the bot image"),
            (
                option("--bot", text=mark("a bot of your own: the folder with its run.py"), metavar="DIR"),
                option("--tag", text=mark("the image's name (default: what the fleet uses)"), metavar="TAG"),
                flag("--no-cache", text=mark("build every layer anew")),
            ),
            ("build", "build --bot ../my-bot"),
        ),
    },
}  # fmt: skip
"""Every command, in the order and under the heads of `manager --help`. A command of two words is written as two."""

COMMANDS: Mapping[str, Command] = {
    name: command for group in GROUPS.values() for name, command in group.items()
}


class Parser(argparse.ArgumentParser):
    """Usage errors in one line, with our exit code."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        text = Text("{prog}: {why}; `{prog} --help` shows what there is", prog=self.prog, why=message)
        self.exit(USAGE, f"{text}\n")


def words(argv: list[str]) -> list[str]:
    """The command line with a command of two words (`config schema`) joined into one word of argparse's."""
    joined = list(argv)
    for index, (first, second) in enumerate(pairwise(argv)):
        if first in COMMANDS or f"{first} {second}" in COMMANDS:
            if f"{first} {second}" in COMMANDS:
                joined[index : index + 2] = [f"{first} {second}"]
            break
    return joined


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line in the language in use. `only`: with this command alone, which is a third of the work."""
    argparse_words.translate()
    root = Parser(
        prog="manager",
        usage=_("manager [--project-dir DIR] [--lang LANG] COMMAND …"),
        description=_("Runs a fleet of trading bots: one config, one Docker container.")
        + "\n\n"
        + _overview(),
        epilog=_(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument(
        "--version", action="version", version=f"botfleet {__version__}",
        help=_("show program's version number and exit"),
    )  # fmt: skip
    root.add_argument(
        "--project-dir", metavar="DIR", help=_("the folder that holds config/ (default: here or above)")
    )
    _add_language(root, None)
    commands = root.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="manager", help=argparse.SUPPRESS
    )
    for name, command in COMMANDS.items():
        if only in (None, name):
            _add_command(commands, name, command)
    return root


def _add_command(commands: Any, name: str, command: Command) -> None:
    examples = "\n".join(f"  manager {each}" for each in command.examples)
    added = commands.add_parser(
        name,
        description=_sentence(_(command.text)),
        epilog=f"{_('examples')}:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(ids=[], config=[], instance_id=None)
    for add in command.options:
        add(added)
    _add_language(added, argparse.SUPPRESS)


def _overview() -> str:
    """The commands, a line each, under the heads of their groups."""
    width = max(map(len, COMMANDS))
    return "\n\n".join(
        "\n".join([f"{_(head)}:", *(f"  {name:<{width}}  {_(each.text)}" for name, each in group.items())])
        for head, group in GROUPS.items()
    )


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
