"""Run the application of `manager top`: observe in a thread, draw, and run commands."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from manager.errors import BUG, ManagerError
from manager.i18n import Text, _, mark
from manager.monitor.stats import columns, instance_stats
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.top import confirm, sorting
from manager.monitor.top.commands import Running, manager
from manager.monitor.top.refresher import Refreshed, Refresher
from manager.monitor.top.screens import Help, InstanceLog, Messages, Question, printable
from manager.monitor.top.sorting import Order
from manager.monitor.top.source import Snapshot, Source
from manager.monitor.top.sparkline import Trends
from manager.monitor.top.table import FleetTable
from manager.util import formatting, text_table

HOLD_S = 5.0
"""After the cursor was moved, rows keep their order for this time."""

WORDS_EVERY_S = 0.2
MESSAGE_LINES = 5
"""Lines of the commands' messages beside the table; `m` shows all."""

LEAST_DETAIL = 2
TITLE_LINES = 3

MOST_PROBLEMS = 2
"""Limit of the project's problems in the banner, to leave room for the table."""

SILENCE_S = 4.0
"""In addition to the interval: observing two hundred instances takes a tenth of it."""

KEYS = mark(
    "q quit  ? help  s start  x stop  r restart  l log  / filter  < > sort  o page  c bars  m messages  R"
    " reverse"
)


class Top(App[None]):
    """Show the full-screen view. `running`: commands in progress; `bug`: an exception for the caller."""

    CSS_PATH = "top.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        Binding("s", "change('start')", show=False),
        Binding("x", "change('stop')", show=False),
        Binding("r", "change('restart')", show=False),
        Binding("l", "log", show=False),
        Binding("o", "page", show=False),
        Binding("slash", "filter", show=False),
        Binding("escape", "unfilter", show=False),
        Binding("less_than_sign,comma", "sort(-1)", show=False),
        Binding("greater_than_sign,full_stop", "sort(1)", show=False),
        Binding("R", "reverse", show=False),
        Binding("c", "trend", show=False),
        Binding("m", "said", show=False),
        Binding("question_mark,h", "help", show=False),
        Binding("q", "quit", show=False),
    ]

    def __init__(self, project_dir: Path | None, source: Source, interval: float) -> None:
        super().__init__()
        self.running: list[Running] = []
        self.messages: list[str] = []
        self.bug: Exception | None = None
        self._project_dir, self._interval = project_dir, interval
        self._trends = Trends()
        self._table = FleetTable(self._trends, has_colour=not os.environ.get("NO_COLOR"))
        self._head = Static(_("loading the fleet …"), id="title", markup=False)
        self._banner = Static(id="banner", markup=False)
        self._detail = Static(id="detail", markup=False)
        self._messages = Static(id="said", markup=False)
        self._filter = Input(id="filter", placeholder=_("filter"))
        self._order = Order()
        self._trouble = ""
        self._snapshot: Snapshot | None = None
        self._error: ManagerError | None = None
        self._began_at = time.monotonic()
        self._moved_at = float("-inf")
        self._looking = Refresher(
            source, interval, self.post_message, lambda error: self.call_later(self._handle_exception, error)
        )

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._banner
        yield self._table
        yield self._detail
        yield self._messages
        yield self._filter
        yield Static(_(KEYS), id="keys", markup=False)

    def on_mount(self) -> None:
        self._table.focus()
        self._looking.begin()
        self.set_interval(1.0, self._show_banner)
        self.set_interval(WORDS_EVERY_S, self._hear)

    def on_unmount(self) -> None:
        self._looking.end()

    def _handle_exception(self, error: Exception) -> None:
        """Pass the exception to cli/main.py:

        Textual's traceback would show local variables, including credentials.
        """
        self.bug = self.bug or error
        self.exit(return_code=BUG)

    def on_refreshed(self, refreshed: Refreshed) -> None:
        self._error = refreshed.error
        if refreshed.snapshot is not None:
            self._snapshot = refreshed.snapshot
            self._trends.add(refreshed.snapshot.rows, refreshed.snapshot.at)
        self._draw()

    @property
    def _is_old(self) -> bool:
        """Return whether the shown snapshot is outdated: the last observation failed, or hangs."""
        since = self._snapshot.at if self._snapshot else self._began_at
        return self._error is not None or time.monotonic() - since > self._interval + SILENCE_S

    def _draw(self) -> None:
        self._show_banner()
        if self._snapshot is None:
            return
        rows = sorting.arranged(self._snapshot.rows, self._filter.value, self._order)
        if time.monotonic() - self._moved_at < HOLD_S:
            rows = sorting.held(rows, self._table.ids)
        self._table.show(rows, self._order, is_old=self._is_old)
        self._show_title(self._snapshot)
        self._show_detail()

    def _show_title(self, snapshot: Snapshot) -> None:
        sums = columns.total_line(instance_stats.sum_up(snapshot.rows))
        wanted = self._filter.value
        words = str(Text("filter: {words}", words=wanted)) if wanted else ""
        title = "  ".join(part for part in (snapshot.fleet.name, words, sums) if part)
        self._show_whole(self._head, [title], 1, TITLE_LINES)

    def _show_banner(self) -> None:
        """Show problems beyond single instances, while they last."""
        was_old = self._table.is_old
        if was_old != self._is_old and self._snapshot is not None:
            self._table.show(self._table.rows, self._order, is_old=self._is_old)
        text = "\n".join(self._troubles())
        if text != self._trouble:  # each update lays out the whole screen anew
            self._trouble = text
            self._banner.display = bool(text)
            self._banner.update(text)

    def _troubles(self) -> list[str]:
        snapshot = self._snapshot
        ago = formatting.elapsed(time.monotonic() - (snapshot.at if snapshot else self._began_at))
        lines = []
        if self._error is not None:
            lines.append(str(self._error))
        elif self._is_old:
            lines.append(_("the engine does not answer"))
        if lines and snapshot is not None:  # first: a narrow terminal may have no room for all of the cause
            lines.insert(0, str(Text("showing the fleet as it was {ago} ago", ago=ago)))
        problems = [str(problem) for problem in (snapshot.problems if snapshot else ())]
        if len(problems) > MOST_PROBLEMS:
            more = Text(
                "{count} more: `manager config --check` shows them", count=len(problems) - MOST_PROBLEMS
            )
            problems[MOST_PROBLEMS:] = [str(more)]
        return lines + problems

    def _show_detail(self) -> None:
        row = self._table.at_cursor
        text = "" if row is None or self._snapshot is None else confirm.detail(row, self._snapshot.fleet)
        most = max(LEAST_DETAIL, self.size.height // 4)
        self._show_whole(self._detail, text.splitlines(), LEAST_DETAIL, most)

    def _show_whole(self, part: Static, lines: Sequence[str], least: int, most: int) -> None:
        """Show sentences in as many lines as they need, which is limited to leave room for the table.

        Each change of a height lays out the whole screen anew.
        """
        if room := part.content_size.width:
            lines = [piece for line in lines for piece in text_table.wrapped(line, room)]
            if len(lines) > most:
                lines = [*lines[: most - 1], text_table.cut(" ".join(lines[most - 1 :]), room)]
        height = max(least, len(lines))
        if part.size.height != height:
            part.styles.height = height
        part.update("\n".join(lines), layout=False)

    def on_fleet_table_moved(self) -> None:
        self._moved_at = time.monotonic()
        self._show_detail()

    # Keys that only look

    def action_sort(self, step: int) -> None:
        self._order = self._order.moved(self._table.shown, step)
        self._moved_at = float("-inf")
        self._draw()

    def action_reverse(self) -> None:
        self._order = self._order._replace(is_turned=not self._order.is_turned)
        self._moved_at = float("-inf")
        self._draw()

    def action_trend(self) -> None:
        self._table.trend = "pnl" if self._table.trend == "cpu" else "cpu"
        self._draw()

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def action_unfilter(self) -> None:
        """Return to the table, without filter and messages."""
        self._messages.display = False
        self._filter.value = ""
        self._leave_filter()

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self._leave_filter()

    def _leave_filter(self) -> None:
        self._filter.display = bool(self._filter.value)
        self._table.focus()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_said(self) -> None:
        self.push_screen(Messages(self.messages))

    def action_log(self) -> None:
        if self._table.cursor is not None:
            self.push_screen(InstanceLog(self._table.cursor, manager(self._project_dir)))

    def action_page(self) -> None:
        row = self._table.at_cursor
        if row is None or self._snapshot is None:
            return
        if row.view.web_port is None:
            self._say([str(Text("{id} has no web port", id=row.id))])
            return
        address = self._snapshot.fleet.web_address(row.view.web_port)
        self._say([address])
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin":
            self.open_url(address)

    # Keys that change something

    def action_change(self, verb: str) -> None:
        row = self._table.at_cursor
        if row is None:
            return
        if not row.is_live:
            self._change(verb, row)
            return

        def on_answer(is_yes: bool | None) -> None:
            if is_yes:
                self._change(verb, row)

        self.push_screen(Question(confirm.before(verb, row)), on_answer)

    def _change(self, verb: str, row: InstanceStats) -> None:
        try:
            command = Running(self._project_dir, verb, row.id)
        except OSError as error:
            why = error.strerror or error
            self._say([str(Text("cannot run {verb} {id}: {why}", verb=verb, id=row.id, why=why))])
            return
        self.running.append(command)
        self._say([f"{command.title} …"])

    def _hear(self) -> None:
        """Collect new messages of the commands in progress."""
        for command in list(self.running):
            code = command.exit_code
            lines = list(command.new_lines())
            if code is not None:
                self.running.remove(command)
                self._looking.at_once()
                lines.append(str(Text("{command}: exit code {code}", command=command.title, code=code)))
            if lines:
                self._say(lines)

    def _say(self, lines: list[str]) -> None:
        self.messages += [printable(line) for line in lines]
        self._messages.display = True
        self._messages.update("\n".join(self.messages[-MESSAGE_LINES:]))
