"""Text in columns: how wide it is on a terminal, and which columns a narrow one gets. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

GAP = 2
"""Between two columns."""

NOTE_ROOM = 30
"""What a note is given before a less important column goes; below it a sentence becomes a tower of words."""

LEAST_ROOM = 8
"""On a terminal that is narrower than anybody's."""

INDENT = 4
"""Of a note that stands below its row, because beside it there is no room at all."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Row = Sequence[str]


class Table(NamedTuple):
    """The heads' line, and the lines of each row."""

    head: str
    rows: list[list[str]]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([self.head, *(line for lines in self.rows for line in lines)])


def width(text: str) -> int:
    """The terminal columns that a text takes: Chinese signs take two, colours and combining marks none."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(map(_sign_width, COLOUR.sub("", text)))


def plain(heads: Row, rows: Sequence[Row]) -> Table:
    """Every column, as wide as it must be."""
    widths = _widths(heads, rows)
    return Table(_line(heads, widths), [[_line(row, widths)] for row in rows])


def fitted(
    heads: Row, rows: Sequence[Row], limit: int, first_to_go: Sequence[int], keep: Sequence[bool]
) -> Table:
    """A table within `limit` columns of a terminal, whose last column is the note.

    Columns go in the order of `first_to_go`, by their index. A note is shortened only in rows that `keep` does not name:
    there it is wrapped.
    """
    widths = _widths(heads, rows)
    wanted = min(widths[-1], NOTE_ROOM)
    shown = _columns(widths, limit - wanted, first_to_go)
    room = limit - _taken(widths, shown)
    below = room < wanted
    if below:
        shown = _columns(widths, limit, first_to_go)
    kept_widths = [widths[each] for each in shown]
    indent = INDENT if below else sum(kept_widths) + GAP * len(shown)
    lines = []
    for row, kept in zip(rows, keep, strict=True):
        front = _line([row[each] for each in shown], kept_widths)
        note = _note(row[-1], max(limit - indent, LEAST_ROOM), kept)
        if below or not note:
            lines.append([front, *(" " * indent + each for each in note)])
        else:
            first = front + " " * (indent - width(front)) + note[0]
            lines.append([first, *(" " * indent + each for each in note[1:])])
    names = [heads[each] for each in shown]
    head = _line(names if below else [*names, heads[-1]], [*kept_widths, 0])
    return Table(head, lines)


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` columns, broken at spaces where there are any."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        while width(word) > room:
            piece = _beginning(word, room)
            lines.append(piece)
            word = word[len(piece) :]
        line = word
    return [*lines, line]


def cut(text: str, room: int) -> str:
    """The text, or its beginning and `…` where it is wider than `room` columns."""
    return text if width(text) <= room else f"{_beginning(text, room - 1)}…"


def _note(text: str, room: int, is_kept: bool) -> list[str]:
    if not text:
        return []
    return wrapped(text, room) if is_kept else [cut(text, room)]


def _columns(widths: Sequence[int], limit: int, first_to_go: Sequence[int]) -> list[int]:
    """The indices of the columns that fit beside the note; those that never go are there in any case."""
    shown = list(range(len(widths) - 1))
    for each in first_to_go:
        if _taken(widths, shown) <= limit:
            break
        shown.remove(each)
    return shown


def _taken(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[each] + GAP for each in shown)


def _widths(heads: Row, rows: Sequence[Row]) -> list[int]:
    return [max(map(width, column)) for column in zip(heads, *rows, strict=True)]


def _line(cells: Row, widths: Sequence[int]) -> str:
    padded = (cell + " " * (wide - width(cell)) for cell, wide in zip(cells, widths, strict=False))
    return (" " * GAP).join(padded).rstrip()


def _beginning(text: str, room: int) -> str:
    """As much of the text as fits; one sign at least."""
    used = 0
    for index, sign in enumerate(text):
        used += _sign_width(sign)
        if used > room and index:
            return text[:index]
    return text


def _sign_width(sign: str) -> int:
    if unicodedata.category(sign) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
