"""Declare what commands are made of, and the options that several of them share."""

from collections.abc import Mapping

from manager.cli import argument_types
from manager.i18n import _, mark
from manager.typed import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import argparse  # loaded only for what plain_line.py does not read

OPTIONAL, ANY_NUMBER, REST = "?", "*", "..."
"""How many values an argument has, in argparse's signs: at most one, any number, the rest of the line."""
HIDDEN = "==SUPPRESS=="
"""The text of an option that no help shows."""


class Option:
    """Hold an option or a positional argument, whose help is translated when a parser is built.

    `keywords` are those of argparse.
    """

    __slots__ = ("flags", "keywords", "text")

    def __init__(self, flags: tuple[str, ...], text: str, keywords: Mapping[str, Any]) -> None:
        self.flags, self.text, self.keywords = flags, text, keywords

    def add_to(self, command: "argparse.ArgumentParser") -> None:
        """Add it to a command's parser."""
        import argparse

        text = argparse.SUPPRESS if self.text == HIDDEN else _(self.text)  # argparse compares by identity
        added = command.add_argument(*self.flags, help=text, **self.keywords)
        if not added.option_strings and added.nargs in (OPTIONAL, ANY_NUMBER, REST):
            added.required = False  # argparse asks for `*` and the rest of a line, which may be empty


class Command(NamedTuple):
    """Describe one command: its function in cli/commands (`up.up`), its help text, its options.

    `examples`: command lines without the leading `manager`. `exit_codes`: what its own mean, where that is
    not what all commands' do.
    """

    function: str
    text: str
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    exit_codes: str = ""


def option(*flags: str, text: str, **keywords: Any) -> Option:
    """Declare an option or a positional argument."""
    return Option(flags, text, keywords)


def flag(*flags: str, text: str) -> Option:
    """Declare an option without a value."""
    return option(*flags, text=text, action="store_true")


IDS = option("ids", text=mark("instances (default: the whole fleet)"), nargs=ANY_NUMBER, metavar="ID")
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
STATS_COLUMNS = option(
    "--columns",
    text=mark("show these columns, such as id,pnl,maker_share,apr; an unknown name lists them all"),
    type=argument_types.stats_columns,
    metavar="COLUMNS",
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
HOST_IS_DEAD = option(
    "--host-is-dead",
    text=mark(
        "treat this host, which does not answer, as dead: nothing trades there any more; "
        "asks for its name at a terminal"
    ),
    action="append",
    default=[],
    metavar="HOST",
)
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
        type=argument_types.integer(0, 100_000),
        metavar="N",
    ),
    option(
        "--keep-days",
        text=mark("keep only those of the last D days, 0 for all"),
        type=argument_types.integer(0, 100_000),
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
GROUPED = flag(
    "--group",
    text=mark("group by the configs' metadata.tags; an instance is listed under each of its tags"),
)
HALT_EXIT_CODES = mark("""\
exit codes: 0 all is down, and no live instance has an open order
            1 something still runs, or orders are left, or it is not known whether
            2 a name is of no instance; the others are halted
            4 containers of another folder have this fleet's name, or a file cannot be loaded
            5 no engine: supervisors stop their bots; 6 a bot was killed
""")
CLOSE_EXIT_CODES = mark("""\
exit codes: 0 nothing is held any more that could be closed
            1 something is left, or it is not known whether
            2 usage, 4 config, 5 no engine, 7 locked
""")
EXEC_EXIT_CODES = mark("exit codes: that of the command\n")
