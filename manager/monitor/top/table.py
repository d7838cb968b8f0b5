"""Draw the table of `top` line by line: a hundred rows every two seconds must be cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from manager.fleet import doing
from manager.fleet.doing import Severity
from manager.i18n import _, mark
from manager.monitor.stats import columns
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.top import sorting
from manager.monitor.top.sorting import Order
from manager.monitor.top.sparkline import Kind, Trends
from manager.util.text_table import GAP, Column, fitting, padded, shortened, width

GUTTER = 2
"""Cells in front of each row: the cursor, and a mark if it needs attention."""

LEAST_TREND, WIDEST_TREND = 10, 40
TREND_PRIORITY = 5
"""Position, state, the figures' age and the symbol stay longer than the trend."""
LEAST_ID = 12
"""Cells: ids are cut before position or P&L give way. The line below the table has the chosen one whole."""

FRONT = ("id", "mode", "doing", "pnl", "position")
"""What is read first: it stays when nothing else has room."""

TREND_HEADS: Mapping[Kind, str] = {"cpu": mark("CPU TREND"), "pnl": mark("P&L TREND")}

SEVERITY_STYLES: Mapping[Severity, Style] = {
    "warn": Style(color="#ffd75f", bold=True),
    "note": Style(color="#ffd75f"),
    "calm": Style(color="#87d75f"),
    "off": Style(color="#8a8a8a"),
}
"""As RGB values: names have other colours in each terminal's theme."""

HEAD = Style(bold=True, bgcolor="#303030")
SORTED_HEAD = Style(bold=True, reverse=True)
ALARM = Style(color="#ffffff", bgcolor="#8b0000", bold=True)
"""Style of the whole row of an instance that needs attention."""
ALARM_AT_CURSOR = Style(color="#ffffff", bgcolor="#d70000", bold=True)
CURSOR = Style(bgcolor="#4e4e4e", bold=True)
LIVE = Style(color="#000000", bgcolor="#ffd75f", bold=True)
GAIN, LOSS = Style(color="#87d75f"), Style(color="#ff8787")
OLD = Style(color="#808080")
"""Style of figures from before the engine stopped answering."""
COLOURLESS_ALARM = Style(reverse=True, bold=True)
COLOURLESS_CURSOR = Style(underline=True, bold=True)
PLAIN = Style()


class FleetTable(ScrollView, can_focus=True):
    """Show rows with a cursor that stays on its instance when the order changes."""

    BINDINGS: ClassVar = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(-1)", show=False),
    ]

    class Moved(Message):
        """Report that the user moved the cursor."""

    def __init__(self, trends: Trends, *, has_colour: bool) -> None:
        super().__init__()
        self.rows: Sequence[InstanceStats] = ()
        self.cursor: str | None = None
        self.order = Order()
        self.trend: Kind = "cpu"
        self.shown: Sequence[Column[InstanceStats]] = ()
        self._trends = trends
        self._has_colour = has_colour
        self.is_old = False
        self._cells: list[dict[str, str]] = []
        self._widths: dict[str, int] = {}

    @property
    def ids(self) -> list[str]:
        """Return the instances shown, in order."""
        return [row.id for row in self.rows]

    @property
    def at_cursor(self) -> InstanceStats | None:
        """Return the row under the cursor."""
        return next((row for row in self.rows if row.id == self.cursor), None)

    def show(self, rows: Sequence[InstanceStats], order: Order, *, is_old: bool) -> None:
        """Draw these rows. `is_old`: in grey, because they are outdated."""
        before = self.ids
        self.rows, self.order, self.is_old = rows, order, is_old
        self.cursor = sorting.cursor_after(self.ids, before, self.cursor) or next(iter(self.ids), None)
        self._fit()
        if self.ids != before:
            self._keep_in_sight()
        self.refresh()

    def on_resize(self) -> None:
        self._widths = {}
        if self.rows:
            self._fit()
            self._keep_in_sight()

    def _fit(self) -> None:
        """Choose the columns. A column never becomes narrower, so that the table does not jump."""
        self._cells = columns.cells(self.rows)
        needed = columns.widths(self._cells)
        self._widths = {key: max(cells, self._widths.get(key, 0)) for key, cells in needed.items()}
        room = self.size.width - GUTTER
        shown = fitting(columns.COLUMNS, self._widths, room)
        if not any(column.name == "state" for column in shown):
            self._cells = columns.cells(self.rows, shown=shown)
            for key, cells in columns.widths(self._cells).items():
                self._widths[key] = max(cells, self._widths[key])
            shown = self._with_short_ids(room)
        beside = fitting(columns.COLUMNS, self._widths, room - GAP - LEAST_TREND)
        lost = [column for column in shown if column not in beside]
        self.shown = shown if any(column.priority < TREND_PRIORITY for column in lost) else beside
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)

    def _with_short_ids(self, room: int) -> list[Column[InstanceStats]]:
        """Return the columns without the state, with ids as short as need be."""
        front = [column for column in columns.COLUMNS if column.name in FRONT]
        missing = sum(self._widths[column.name] + GAP for column in front) - GAP - room
        if missing > 0:
            ids = shortened(self.ids, max(LEAST_ID, self._widths["id"] - missing))
            for texts, text in zip(self._cells, ids, strict=True):
                texts["id"] = text
            self._widths["id"] = max(map(width, ids), default=0)
        return fitting(front, self._widths, room)

    def action_move(self, step: int) -> None:
        self._go(self._index() + step)

    def action_page(self, step: int) -> None:
        self._go(self._index() + step * max(1, self.size.height - 2))

    def action_edge(self, end: int) -> None:
        self._go(0 if end == 0 else len(self.rows) - 1)

    def on_click(self, event: object) -> None:
        y = int(getattr(event, "y", 0))
        if y > 0:
            self._go(round(self.scroll_y) + y - 1)

    def _index(self) -> int:
        ids = self.ids
        return ids.index(self.cursor) if self.cursor in ids else 0

    def _go(self, index: int) -> None:
        if self.rows:
            self.cursor = self.rows[max(0, min(index, len(self.rows) - 1))].id
            self._keep_in_sight()
            self.refresh()
            self.post_message(self.Moved())

    def _keep_in_sight(self) -> None:
        height, at = max(1, self.size.height - 1), self._index()
        top = round(self.scroll_y)
        if at < top or at >= top + height:
            self.scroll_to(y=at if at < top else at - height + 1, animate=False)

    def render_line(self, y: int) -> Strip:
        """Return a line: the head stays at the top, the rows below it scroll."""
        if y == 0 and self.shown:
            return self._strip([(" " * GUTTER, HEAD), *self._head()], HEAD)
        index = round(self.scroll_y) + y - 1
        if not 0 <= index < len(self.rows):
            return Strip.blank(self.size.width, self.rich_style)
        return self._row(self.rows[index], self._cells[index])

    def _head(self) -> list[tuple[str, Style]]:
        pieces = []
        for column in self.shown:
            text = padded(_(column.heading), self._widths[column.name], column.align)
            pieces.append((text, SORTED_HEAD if column.name == self.order.key else HEAD))
            pieces.append((" " * GAP, HEAD))
        return [*pieces, (_(TREND_HEADS[self.trend]) if self._bars() else "", HEAD)]

    def _bars(self) -> int:
        """Return how many bars of the trend have room; 0 where it gives way to columns."""
        used = GUTTER + sum(self._widths[column.name] + GAP for column in self.shown)
        bars = min(WIDEST_TREND, self.size.width - used)
        return bars if bars >= LEAST_TREND else 0

    def _row(self, row: InstanceStats, texts: Mapping[str, str]) -> Strip:
        is_cursor = row.id == self.cursor
        style = self._whole_style(row, is_cursor)
        has_alarm = row.needs_attention
        pieces = [(f"{'>' if is_cursor else ' '}{'!' if has_alarm else ' '}", style)]
        for column in self.shown:
            text = padded(texts[column.name], self._widths[column.name], column.align)
            own = PLAIN if has_alarm or self.is_old else _cell_style(column.name, row)
            pieces.append((text, style + own))
            pieces.append((" " * GAP, style))
        if bars := self._bars():
            pieces.append((self._trends.line(row.id, self.trend, bars), style))
        return self._strip(pieces, style)

    def _whole_style(self, row: InstanceStats, is_cursor: bool) -> Style:
        if self.is_old:
            return OLD + CURSOR if is_cursor else OLD
        if row.needs_attention:
            if not self._has_colour:
                return COLOURLESS_ALARM + COLOURLESS_CURSOR if is_cursor else COLOURLESS_ALARM
            return ALARM_AT_CURSOR if is_cursor else ALARM
        if is_cursor:
            return CURSOR if self._has_colour else COLOURLESS_CURSOR
        return PLAIN

    def _strip(self, pieces: Sequence[tuple[str, Style]], rest: Style) -> Strip:
        base = self.rich_style
        strip = Strip([Segment(text, base + style) for text, style in pieces])
        return strip.adjust_cell_length(self.size.width, base + rest)


def _cell_style(key: str, row: InstanceStats) -> Style:
    is_old = row.figures_at is not None
    match key:
        case "state" | "doing":
            return SEVERITY_STYLES.get(doing.severity(row.view), PLAIN)
        case "mode" if row.is_live:
            return LIVE
        case "pnl" if not is_old and row.report.pnl:
            return GAIN if row.report.pnl > 0 else LOSS
        case "pnl" | "position" | "as_of" if is_old:
            return OLD
        case _:
            return PLAIN
