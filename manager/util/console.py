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
from manager.util import text_table


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


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns with heads, as wide as they must be; wide characters count double."""
    return text_table.plain(heads, [list(map(str, row)) for row in rows]).text


def terminal_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil  # with three compressors

    return shutil.get_terminal_size().columns
