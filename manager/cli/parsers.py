"""Build the parsers from command_table.py, in the language in use. Runs nothing."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from manager import __version__
from manager.cli import argparse_i18n, argument_types
from manager.cli.command_options import Command
from manager.cli.command_table import COMMANDS, GROUPS
from manager.errors import USAGE
from manager.i18n import Text, _, mark, punctuated

EPILOG = mark("""\
examples:
  manager up --wait                  start the fleet and wait until it is healthy
  manager ps                         show the fleet, one line per instance
  manager logs -f bp_sol_01          follow one bot
  manager restart bp_eth_02          stop and start it with its current config
  manager status --config config/active/bp_sol_01.json
  manager down                       stop and remove all containers; logs and databases stay
""")
EXIT_CODES = mark("""\
exit codes: 0 success, 1 not running or some failed, 2 usage, 3 a bug, 4 config, 5 no engine,
            6 timed out or killed, 7 locked
""")


USUAL_COLUMNS = 80
WITH_VALUE = {"--project-dir", "--lang", "--host"}
"""Options that may precede any command and have a value."""
HEADING = re.compile(r"^(\S.*):$", re.MULTILINE)


class Help(argparse.RawDescriptionHelpFormatter):
    """Format help without loading `shutil` for the terminal's width, which argparse would do for every
    option.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def format_help(self) -> str:
        """Return the help, with the colon of the language in use behind its headings."""
        return HEADING.sub(rf"\1{punctuated(': ').rstrip()}", super().format_help())


def _columns() -> int:
    """Return COLUMNS if set, else the terminal's width."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or USUAL_COLUMNS
    except (ValueError, OSError):  # no terminal, or none that tells
        return USUAL_COLUMNS


class Parser(argparse.ArgumentParser):
    """Print usage errors in one line, with the word that was probably meant, and exit with our exit code."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            is_command = isinstance(action, argparse._SubParsersAction)
            near = _nearest(str(value), COMMANDS if is_command else map(str, action.choices))
            if is_command or near:
                raise argparse.ArgumentError(None, str(_no_such_word(str(value), near)))
        super()._check_value(action, value)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all; what is unknown is an error of the command, whose help says what it takes."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command = self._command(getattr(parsed, "command", ""))
            near = _nearest_option(unknown[0], command)
            why = _no_such_word(unknown[0].partition("=")[0], near) if near else None
            command.error(str(why or _("unrecognized arguments: %s") % " ".join(unknown)))
        return parsed

    def _command(self, name: str) -> argparse.ArgumentParser:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and name in action.choices:
                parser: argparse.ArgumentParser = action.choices[name]
                return parser
        return self

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        text = Text("{prog}: {why}; see `{prog} --help`", prog=self.prog, why=message)
        if message.endswith(("?", "？")):  # a question has its own end
            text = Text("{prog}: {why} See `{prog} --help`", prog=self.prog, why=message)
        self.exit(USAGE, f"{text}\n")


def _nearest_option(word: str, command: argparse.ArgumentParser) -> str:
    """Return the option that was probably meant; empty for what is none."""
    if not word.startswith("--"):
        return ""
    known = (option for action in command._actions for option in action.option_strings)
    return _nearest(word.partition("=")[0], (option for option in known if option.startswith("--")))


def _nearest(value: str, known: Iterable[str]) -> str:
    """Return the word that was probably meant: one with its letters exchanged, else the most similar."""
    import difflib

    words = list(known)
    exchanged = [word for word in words if sorted(word) == sorted(value)]
    return next(iter(exchanged or difflib.get_close_matches(value, words, n=1)), "")


def _no_such_word(value: str, near: str) -> Text:
    if near:
        return Text("there is no {value}; did you mean {near}?", value=value, near=near)
    return Text("there is no command {value}", value=value)


def near_command(command: str, word: str) -> str:
    """Return the command of two words that was probably meant by a command and a word that is no instance."""
    near = _nearest(f"{command} {word}", (name for name in COMMANDS if name.startswith(f"{command} ")))
    return near if _nearest(word, [near.partition(" ")[2]]) else ""


def words(argv: list[str]) -> list[str]:
    """Return the command line with a command of two words (`config schema`) joined into one."""
    joined = list(argv)
    for index, (first, second) in enumerate(pairwise(argv)):
        if index > 0 and argv[index - 1] in WITH_VALUE:
            continue
        is_near = first not in COMMANDS and bool(near_command(first, second))
        if first in COMMANDS or is_near or f"{first} {second}" in COMMANDS:
            if is_near or f"{first} {second}" in COMMANDS:  # a near one is answered by what was meant
                joined[index : index + 2] = [f"{first} {second}"]
            break
    return joined


def parsed(argv: Iterable[str]) -> argparse.Namespace:
    """Return the values of a command line. Exits on --help and on usage errors.

    If nothing but options of every command precedes its command, only that one's parser is made.
    """
    line = words(list(argv))
    values: argparse.Namespace = parser(_only(line)).parse_args(line)
    return values


def _only(line: list[str]) -> str | None:
    """Return the command of a line; None if another parser than its own may be needed to find it."""
    rest = iter(line)
    for word in rest:
        if word in COMMANDS:
            return word
        name, equals, _value = word.partition("=")
        if name in WITH_VALUE and (equals or not next(rest, "-").startswith("-")):
            continue
        if word != "--swarm":
            break
    return None


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser, in the language in use.

    `only`: with this command alone, which takes a third of the time.
    """
    argparse_i18n.translate()
    root = Parser(
        prog="manager",
        usage=_("manager [--project-dir DIR] [--lang LANG] [--host NAME] [--swarm] COMMAND …"),
        description=_("Runs a fleet of trading bots: one config, one Docker container.")
        + "\n\n"
        + _overview(),
        epilog=_(EPILOG) + _(EXIT_CODES),
        formatter_class=Help,
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
    _add_host(root, None)
    _add_swarm(root, default=False)
    commands = root.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="manager", help=argparse.SUPPRESS
    )
    for name, command in COMMANDS.items():
        if only in (None, name):
            _add_command(commands, name, command)
    return root


def _add_command(commands: Any, name: str, command: Command) -> None:
    examples = "".join(f"  manager {example}\n" for example in command.examples)
    heading = f"{_('examples')}:\n" if examples else ""
    added = commands.add_parser(
        name,
        description=_sentence(_(command.text)),
        epilog=f"{heading}{examples}{_(command.exit_codes or EXIT_CODES)}",
        formatter_class=Help,
    )
    added.set_defaults(ids=[], config=[], instance_id=None, function=command.function)
    for option in command.options:
        option.add_to(added)
    _add_language(added, argparse.SUPPRESS)
    _add_host(added, argparse.SUPPRESS)
    _add_swarm(added, default=argparse.SUPPRESS)


def _overview() -> str:
    """Return the commands, one per line, under their groups' headings."""
    width = max(map(len, COMMANDS))
    return "\n\n".join(
        "\n".join(
            [f"{_(head)}:", *(f"  {name:<{width}}  {_(command.text)}" for name, command in group.items())]
        )
        for head, group in GROUPS.items()
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{_('.')}"


def _add_host(command: argparse.ArgumentParser, default: str | None) -> None:
    """Add `--host`, which may precede or follow the command's name."""
    command.add_argument(
        "--host", default=default, metavar="NAME", help=_("run the command on this host of config/hosts.toml")
    )


def _add_swarm(command: argparse.ArgumentParser, *, default: bool | str) -> None:
    """Add `--swarm`, which may precede or follow the command's name."""
    command.add_argument(
        "--swarm",
        action="store_true",
        default=default,
        help=_("run compose, up, down, halt, ps, logs or doctor on the fleet's services in a Docker Swarm"),
    )


def _add_language(command: argparse.ArgumentParser, default: str | None) -> None:
    """Add `--lang`, which may precede or follow the command's name."""
    command.add_argument(
        "--lang",
        type=argument_types.language,
        default=default,
        metavar="LANG",
        help=_("en or zh-TW (default: MANAGER_LANG, then the locale)"),
    )
