"""How things are said: lines, errors, tables, JSON, colours."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from manager.errors import ManagerError
from manager.i18n import _


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


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], style: str | None = None) -> str:
    """Columns with heads, as wide as they must be; wide characters count double. `style`: a format of tabulate."""
    from manager.util import drawn_table  # tabulate: 60 ms

    return drawn_table.draw(heads, rows, style or drawn_table.PLAIN)


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
