"""Print lines, errors, tables and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from manager.errors import ManagerError
from manager.i18n import _, labelled
from manager.typed import TYPE_CHECKING
from manager.util.sanitize import escape_unprintable, replace_unprintable

if TYPE_CHECKING:
    from typing import TextIO

    from manager.util.text_table import Columns, Item

TABLE_FORMAT = "BOTFLEET_TABLE_FORMAT"
"""Variable by which a view that starts a command gets its tables in a form that it lays out itself."""


@contextmanager
def writing() -> Iterator[None]:
    """Report a failed write to standard output, such as a full disk, as a ManagerError."""
    try:
        yield
    except BrokenPipeError:  # the reader has exited, which is not an error
        raise
    except OSError as error:
        raise ManagerError("cannot write to standard output: {why}", why=error.strerror or error) from error


def say(text: object = "", end: str = "\n") -> None:
    """Print a line on standard output.

    When the reader has exited (`| head -1`), the work continues without output.
    """
    try:
        with writing():
            print(text, end=end, flush=True)
    except BrokenPipeError:
        discard_output(sys.stdout)


def warn(text: object) -> None:
    """Print a line on standard error, so that it does not end up in the output that a script reads.

    Messages quote files of other people, so control characters are replaced.
    """
    lines = [replace_unprintable(line) for line in str(text).split("\n")]
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except BrokenPipeError:
        discard_output(sys.stderr)
    except OSError:  # a full disk: nobody is left to be told, and the work goes on
        return


def discard_output(stream: TextIO) -> None:
    """Discard everything written to the stream from now on, and what is still buffered."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


def error(text: object) -> None:
    """Print an error on standard error."""
    warn(labelled(_("error"), text))


def without_label(line: str) -> str:
    """Return a line that another command has printed as an error, without its `error: `."""
    return line.removeprefix(str(labelled(_("error"), "")))


def warning(text: object) -> None:
    """Print a warning on standard error."""
    warn(labelled(_("warning"), text))


def say_json(value: object) -> None:
    """Print JSON on standard output, escaping what is not printable or not in its encoding."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    say(escape_unprintable(json.dumps(value, indent=2, ensure_ascii=not is_unicode)))


def has_colour() -> bool:
    """Return whether standard output is a terminal and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def table(columns: Columns[Item], items: Iterable[Item], style: str | None = None) -> str:
    """Return a table with a header, each column as wide as its content; `style` is one of tabulate's formats.

    Wide characters count as two columns. Without a style, a view's own one is used.
    """
    from manager.util import drawn_table, text_table  # tabulate: 60 ms

    wanted = drawn_table.TSV if os.environ.get(TABLE_FORMAT) == drawn_table.TSV else drawn_table.PLAIN
    numbers = [index for index, column in enumerate(columns) if column.align == "right"]
    rows = [text_table.cells(columns, item) for item in items]
    return drawn_table.draw(text_table.headings(columns), rows, style or wanted, numbers)


def terminal_width() -> int | None:
    """Return the number of columns of standard output; None if it is not a terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil  # loads three compression modules

    return shutil.get_terminal_size().columns
