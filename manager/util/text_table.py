"""Lay out text in columns: widths on a terminal, and the columns that fit a narrow one. Pure."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from manager.i18n import _
from manager.typed import Any, Generic, Literal, NamedTuple, TypeVar
from manager.util.late_pattern import late_pattern

GAP = 2
"""Cells between two columns."""

NOTE_ROOM = 30
"""Minimum note width before a less important column is dropped."""

LEAST_ROOM = 8
"""Absolute minimum width."""

INDENT = 4
"""Indentation of a note below its row, if there is no room beside it."""

IN_NUMBERS = frozenset("0123456789.,")
NUMBER_AT_END = late_pattern(r"[-+−]?[\d.,]*$")

COLOUR = late_pattern(r"\x1b\[[0-9;]*m")

Row = Sequence[str]


Item = TypeVar("Item")


class Column(Generic[Item]):
    """Define one column of a table, which is chosen by its name.

    `heading` is translated when shown. `priority`: on a narrow terminal the highest is dropped first; 0 never
    is. `order` returns the sort key of rows; None for an item that always comes last. `alone`: the name of
    another column, and the cell where that one has been dropped.
    """

    __slots__ = ("align", "alone", "cell", "heading", "name", "order", "priority")

    def __init__(  # a named tuple would take `ps` as long as its whole table
        self,
        name: str,
        heading: str,
        cell: Callable[[Item], str],
        order: Callable[[Item], Any] | None = None,
        align: Literal["left", "right"] = "left",
        priority: int = 0,
        alone: tuple[str, Callable[[Item], str]] | None = None,
    ) -> None:
        self.name, self.heading, self.cell = name, heading, cell
        self.order, self.align, self.priority, self.alone = order, align, priority, alone

    def with_cell(self, cell: Callable[[Item], str]) -> "Column[Item]":
        """Return the same column with other cells."""
        return Column(self.name, self.heading, cell, self.order, self.align, self.priority, self.alone)

    def cell_among(self, names: Container[str]) -> Callable[[Item], str]:
        """Return the cell where the columns of these names are shown."""
        return self.cell if self.alone is None or self.alone[0] in names else self.alone[1]


Columns = Sequence[Column[Item]]


class Table(NamedTuple):
    """Hold the line of headings, and the lines of each row."""

    head: str
    rows: list[list[str]]

    @property
    def text(self) -> str:
        return "\n".join([self.head, *(line for lines in self.rows for line in lines)])


def headings(columns: Columns[Any]) -> list[str]:
    """Return the columns' headings in the language in use."""
    return [_(column.heading) for column in columns]


def cells(columns: Columns[Item], item: Item) -> list[str]:
    """Return an item's cells."""
    return [column.cell(item) for column in columns]


def width(text: str) -> int:
    """Return the terminal cells of a text: Chinese characters take two, colours and combining marks none."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(map(_sign_width, COLOUR.sub("", text)))


def plain(heads: Row, rows: Sequence[Row]) -> Table:
    """Return a table of every column, as wide as necessary."""
    widths = _widths(heads, rows)
    return Table(_line(heads, widths), [[_line(row, widths)] for row in rows])


def fitted(columns: Columns[Item], items: Iterable[Item], limit: int, keep: Sequence[bool]) -> Table:
    """Return a table within `limit` cells, whose last column is the note.

    Columns are dropped by priority; those whose priority is below the note's stay, and the note is below its
    row. A note is shortened only in rows that are not in `keep`: there it is wrapped.
    """
    items = list(items)
    heads, rows = headings(columns), [cells(columns, item) for item in items]
    shown, below = _with_note(columns, _widths(heads, rows), limit)
    beside = {column.name for column in shown}
    if any(column.alone is not None and column.alone[0] not in beside for column in shown):
        kept = [*shown, columns[-1]]  # with cells that tell more, and may be wider
        columns = [column.with_cell(column.cell_among(beside)) for column in kept]
        heads, rows = headings(columns), [cells(columns, item) for item in items]
        shown, below = _with_note(columns, _widths(heads, rows), limit)
    widths, front = _widths(heads, rows), columns[:-1]
    at = [index for index, column in enumerate(front) if column in shown]
    kept_widths = [widths[index] for index in at]
    indent = INDENT if below else sum(kept_widths) + GAP * len(at)
    lines = []
    for row, width_kept in zip(rows, keep, strict=True):
        start = _line([row[index] for index in at], kept_widths)
        note = _note(row[-1], max(limit - indent, LEAST_ROOM), width_kept)
        if below or not note:
            lines.append([start, *(" " * indent + line for line in note)])
        else:
            first = start + " " * (indent - width(start)) + note[0]
            lines.append([first, *(" " * indent + line for line in note[1:])])
    names = [heads[index] for index in at]
    head = _line(names if below else [*names, heads[-1]], [*kept_widths, 0])
    return Table(head, lines)


def _with_note(
    columns: Columns[Item], widths: Sequence[int], limit: int
) -> tuple[Sequence[Column[Item]], bool]:
    """Return the columns that fit, and whether the note is below its row."""
    by_name = {column.name: cells for column, cells in zip(columns, widths, strict=True)}
    *front, note = columns
    wanted = min(widths[-1], NOTE_ROOM)
    shown = fitting(front, by_name, limit - wanted - GAP)
    room = limit - sum(by_name[column.name] + GAP for column in shown)
    lost = [column for column in front if column not in shown]
    if room >= wanted and all(column.priority >= note.priority for column in lost):
        return shown, False
    return fitting(front, by_name, limit - GAP), True


def fitting(columns: Columns[Item], widths: Mapping[str, int], room: int | None) -> list[Column[Item]]:
    """Return the columns that fit into so many cells (None: all). `widths`: the width of each, by name."""
    shown = list(columns)
    while room is not None and sum(widths[column.name] + GAP for column in shown) - GAP > room:
        first = max(shown, key=lambda column: column.priority, default=None)
        if first is None or first.priority == 0:
            break
        shown.remove(first)
    return shown


def padded(text: str, room: int, align: Literal["left", "right"] = "left") -> str:
    """Return the text padded to so many cells."""
    space = " " * (room - width(text))
    return space + text if align == "right" else text + space


def wrapped(text: str, room: int) -> list[str]:
    """Return the text in lines of at most `room` cells, broken at spaces if there are any, and in no number
    that has room in a line.
    """
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
            piece = _without_part_of_number(piece, word[len(piece)]) or piece
            lines.append(piece)
            word = word[len(piece) :]
        line = word
    return [*lines, line]


def cut(text: str, room: int) -> str:
    """Return the text, or its beginning and `…` if it is wider than `room` cells.

    No number is cut: its beginning would be read as another one.
    """
    if width(text) <= room:
        return text
    shown = _beginning(text, room - 1)
    return f"{_without_part_of_number(shown, text[len(shown)])}…"


def shortened(names: Sequence[str], room: int) -> Sequence[str]:
    """Return names of ASCII, with `…` for a part of those that are wider than `room` cells: their middle,
    else what all begin with, and their ends. If that makes two of them alike, all stay whole.
    """
    first, last = min(names, default=""), max(names, default="")
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), 0)
    for cut_one in (_without_middle, lambda name, room: _from(name, same, room)):
        short = [name if len(name) <= room else cut_one(name, room) for name in names]
        if len({*short}) == len({*names}):
            return short
    return names


def _without_middle(name: str, room: int) -> str:
    end = (room - 1) // 2
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def _from(name: str, begin: int, room: int) -> str:
    rest = name[begin:]
    return f"…{rest}" if len(rest) < room else f"…{rest[: room - 2]}…"


def _without_part_of_number(shown: str, following: str) -> str:
    """Return the text without the number at its end, if the sign that follows continues it."""
    number = NUMBER_AT_END.search(shown) if following in IN_NUMBERS else None
    return shown if number is None else shown[: number.start()]


def _note(text: str, room: int, is_kept: bool) -> list[str]:
    if not text:
        return []
    return wrapped(text, room) if is_kept else [cut(text, room)]


def _widths(heads: Row, rows: Sequence[Row]) -> list[int]:
    return [max(map(width, column)) for column in zip(heads, *rows, strict=True)]


def _line(cells: Row, widths: Sequence[int]) -> str:
    return (" " * GAP).join(map(padded, cells, widths)).rstrip()


def _beginning(text: str, room: int) -> str:
    """Return as much of the text as fits, at least one character."""
    used = 0
    for index, sign in enumerate(text):
        used += _sign_width(sign)
        if used > room and index:
            return text[:index]
    return text


def _sign_width(sign: str) -> int:
    import unicodedata  # which most tables do without

    if unicodedata.category(sign) in {"Mn", "Me", "Cf", "Cc"}:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
