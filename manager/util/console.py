"""How things are said: lines, errors, tables, JSON, colours."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from manager.errors import ManagerError
from manager.fleet.status import State
from manager.i18n import _, mark
from manager.util import text_table

STATE_WORDS = (
    mark("starting"),
    mark("running"),
    mark("unhealthy"),
    mark("restarting"),
    mark("failed"),
    mark("completed"),
    mark("stopped"),
    mark("missing"),
    mark("orphan"),
    # the engine's and the supervisor's own, where they say more
    mark("created"),
    mark("paused"),
    mark("removing"),
    mark("dead"),
    mark("silent"),
    mark("stopping"),
    mark("elsewhere"),
    # in what a container differs from its config
    mark("config"),
    mark("image"),
    mark("environment"),
    mark("paper"),
    mark("live"),
)
"""Words of programs, which stay English in JSON, and are translated where a person reads them."""

COLOURS: Mapping[State, str] = {
    "running": "32",
    "completed": "32",
    "starting": "33",
    "restarting": "33",
    "unhealthy": "31",
    "failed": "31",
    "stopped": "2",
    "missing": "2",
    "orphan": "35",
}


@contextmanager
def writing() -> Iterator[None]:
    """Around every write to standard output: a full disk behind it is the user's to know. Raises ManagerError."""
    try:
        yield
    except BrokenPipeError:  # nobody reads any more, which is no error
        raise
    except OSError as error:
        raise ManagerError("cannot write to standard output: {why}", why=error.strerror or error) from error


def say(text: object = "", end: str = "\n") -> None:
    """A line for a person, on standard output. Where nobody reads any more, `| head -1`, the work goes on unseen."""
    try:
        with writing():
            print(text, end=end, flush=True)
    except BrokenPipeError:
        nobody_reads(sys.stdout)


def warn(text: object) -> None:
    """A line for a person, on standard error: it must not end up in what a script reads."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        nobody_reads(sys.stderr)


def nobody_reads(stream: TextIO) -> None:
    """What is written there from now on, and what still waits to be, is dropped."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


def error(text: object) -> None:
    """What went wrong, on standard error."""
    warn(f"{_('error')}: {text}")


def warning(text: object) -> None:
    """What is odd but allowed, on standard error."""
    warn(f"{_('warning')}: {text}")


def say_json(value: object) -> None:
    """JSON on standard output."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    say(json.dumps(value, indent=2, ensure_ascii=not is_unicode))


def has_colour() -> bool:
    """Whether standard output is a terminal whose user has not declined colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(state: State, text: str) -> str:
    """The text in the state's colour, where colours are shown."""
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if has_colour() else text


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns with heads, as wide as they must be; wide characters count double."""
    return text_table.plain(heads, [list(map(str, row)) for row in rows]).text


def terminal_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil  # with three compressors

    return shutil.get_terminal_size().columns


def age(seconds: float) -> str:
    """`42s`, `7m`, `3h05m`, `12d`: short, for a column."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 48 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes // 1440}d"


def size(count: float) -> str:
    """`812 B`, `3.4 MB`, `12 GB`: bytes, short."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
