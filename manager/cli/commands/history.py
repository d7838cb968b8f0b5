"""Run `history`: what the instances earned and what happened to them, including stopped and removed ones.

It needs no engine.
"""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Mapping, Sequence

from manager.cli.notices import one_output, say_problems
from manager.errors import BAD_CONFIG, OK, UsageError
from manager.fleet import display, tombstone
from manager.fleet.amounts import aligned, money
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text, _, mark
from manager.monitor.history import curve, reader, run_ends, summary
from manager.monitor.history.curve import Day
from manager.monitor.history.model import Run, What
from manager.monitor.history.reader import FleetHistory, InstanceHistory
from manager.monitor.history.summary import Line
from manager.typed import NamedTuple
from manager.util import console, text_table
from manager.util.formatting import age, date_and_time, elapsed, iso_with_offset
from manager.util.sanitize import replace_unprintable
from manager.util.text_table import Column

LAST_EVENTS = 20
TRADE_HEADS = (
    "time",
    "instance",
    "mode",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "price",
    "value",
    "fee",
    "fee_currency",
    "maker",
    "position_after",
    "realized_after",
    "trade_id",
    "order_id",
    "value_currency",
)
"""Names of programs and of tax advisers' sheets: not translated."""


class DayRow(NamedTuple):
    """Hold one line of the table of days."""

    instance: str
    day: Day


def history(session: Session, args: Namespace) -> int:
    """Show the history of the fleet, or of the named instances day by day."""
    one_output(args)
    if args.trades and (args.json or args.format):
        raise UsageError("--trades prints CSV, for which --json and --format have no meaning")
    project = session.project()
    fleet = project.fleet
    chosen = Selection(args.ids, args.config).named(project) or []
    since = args.since or 0.0
    fleet_history = reader.read(fleet, project.specs, chosen, since, trades=args.trades)
    stones = tombstone.find_all(fleet, [history.instance for history in fleet_history.instances])
    moved = {instance: stone for instance, stone in stones.items() if not stone.is_arriving}
    if args.trades:
        console.say(_csv(fleet_history), end="")
    elif args.json:
        console.say_json(
            [summary.as_object(history, fleet_history, since) for history in fleet_history.instances]
        )
    elif chosen:
        _say_named(fleet_history, since, args.format)
    else:
        rows = [
            line
            for history in fleet_history.instances
            for line in summary.lines(history, fleet_history, since)
        ]
        console.say(_line_table(rows, fleet_history.now, args.format) if rows else _("no instances"))
        counted = [line for line in rows if line.instance not in moved]
        for text in [] if args.format else summary.total_texts(counted, fleet.sums):
            console.say(text)
    _warn(fleet_history, moved)
    say_problems(project)
    return BAD_CONFIG if project.problems else OK


def _warn(fleet_history: FleetHistory, moved: Mapping[str, Tombstone]) -> None:
    """Say what is missing in what was shown, and why."""
    for note in fleet_history.notes:
        console.warning(note)
    for instance, stone in moved.items():
        console.warning(
            Text(
                "{id}: it was moved to {host}, where its history goes on: what it earned and traded here is"
                " listed there, too, and is in no total here",
                id=instance,
                host=stone.to,
            )
        )
    for history in fleet_history.instances:
        if history.why is not None:
            console.warning(
                Text(
                    "{id}: its database could not be read; its trades and runs are missing here: {why}",
                    id=history.instance,
                    why=history.why,
                )
            )


def _line_table(rows: Sequence[Line], now: float, style: str | None) -> str:
    """Return the table; on a terminal with the columns that it has room for."""
    columns = _with_aligned(_line_columns(now), rows)
    room = console.terminal_width() if style is None else None
    heads = text_table.headings(columns)
    widths = {
        column.name: max(map(text_table.width, [head, *map(column.cell, rows)]))
        for column, head in zip(columns, heads, strict=True)
    }
    return console.table(text_table.fitting(columns, widths, room), rows, style)


def _line_columns(now: float) -> list[Column[Line]]:
    return [
        Column("id", "ID", lambda line: line.instance),
        Column("mode", mark("MODE"), lambda line: display.mode_text(line.kind or None)),
        Column("pnl", mark("P&L"), _pnl),
        Column(
            "today",
            mark("TODAY"),
            lambda line: "" if line.today is None else money(line.today, line.quote),
            priority=2,
        ),
        Column(
            "drawdown",
            mark("DRAWDOWN"),
            lambda line: "" if line.drawdown is None else money(-line.drawdown.amount, line.quote),
            priority=3,
        ),
        Column("starts", mark("STARTS"), lambda line: str(line.starts), align="right", priority=8),
        Column("exits", mark("EXITS"), lambda line: str(line.exits), align="right", priority=7),
        Column(
            "gaps", mark("GAPS"), lambda line: age(line.gaps) if line.gaps else "", align="right", priority=5
        ),
        Column(
            "as_of",
            mark("AS OF"),
            lambda line: "" if line.as_of is None else str(Text("{age} ago", age=elapsed(now - line.as_of))),
            priority=4,
        ),
        Column("curve", mark("CURVE"), lambda line: curve.sparkline(line.points), priority=6),
    ]


def _pnl(line: Line) -> str:
    if line.pnl is None:
        return ""
    return f"{money(line.pnl, line.quote)}{' ?' if line.is_uncertain else ''}"


def _with_aligned(columns: Sequence[Column[Line]], rows: Sequence[Line]) -> list[Column[Line]]:
    """Return the columns with the decimal points of amounts aligned."""
    filled = []
    for column in columns:
        if column.name in {"pnl", "today", "drawdown"}:
            cells = dict(zip(map(id, rows), aligned([column.cell(row) for row in rows]), strict=True))
            filled.append(column.with_cell(lambda row, cells=cells: cells[id(row)]))  # type: ignore[misc]
        else:
            filled.append(column)
    return filled


def _say_named(fleet_history: FleetHistory, since: float, style: str | None) -> None:
    rows = [
        DayRow(history.instance, day)
        for history in fleet_history.instances
        for day in summary.days(history, fleet_history, since)
    ]
    if style:
        console.say(console.table(DAY_COLUMNS, rows, style))
        return
    for history in fleet_history.instances:
        _say_one(
            history,
            fleet_history,
            since,
            [row for row in rows if row.instance == history.instance],
        )


def _say_one(
    history: InstanceHistory, fleet_history: FleetHistory, since: float, rows: Sequence[DayRow]
) -> None:
    lines = summary.lines(history, fleet_history, since)
    console.say(_line_table(lines, fleet_history.now, None))
    if rows:
        console.say()
        console.say(console.table(DAY_COLUMNS[1:], rows))
    runs = [run for run in history.runs if run.ended is None or run.ended >= since]
    if runs:
        console.say()
        console.say(console.table(RUN_COLUMNS, runs))
    if history.events:
        console.say()
        if len(history.events) > LAST_EVENTS:
            console.say(
                Text(
                    "the last {count} of {all} events; --json has all",
                    count=LAST_EVENTS,
                    all=len(history.events),
                )
            )
        for event in history.events[-LAST_EVENTS:]:
            event_word = _(WORDS.get(event.what, event.what))
            line = f"{date_and_time(event.at)}  {event_word}  {summary.event_text(event)}"
            console.say(replace_unprintable(line))
    console.say()


WORDS: Mapping[What, str] = {
    "exit": mark("exit"),
    "state": mark("state"),
    "command": mark("command"),
    "command failed": mark("command failed"),
}


def _note(row: DayRow) -> str:
    day, parts = row.day, []
    if day.is_open:
        parts.append(_("so far"))
    if day.gaps:
        parts.append(str(Text("not observed for {time}", time=elapsed(day.gaps))))
    if day.is_uncertain:
        parts.append(_("a part is missing, or of another day"))
    return ", ".join(parts)


DAY_COLUMNS: Sequence[Column[DayRow]] = (
    Column("id", "ID", lambda row: row.instance),
    Column("day", mark("DAY"), lambda row: row.day.day),
    Column("mode", mark("MODE"), lambda row: display.mode_text(row.day.kind or None)),
    Column("pnl", mark("P&L"), lambda row: money(row.day.pnl, row.day.quote), align="right"),
    Column("note", mark("NOTE"), _note),
)
RUN_COLUMNS: Sequence[Column[Run]] = (
    Column("began", mark("RUN BEGAN"), lambda run: date_and_time(run.began)),
    Column("ended", mark("ENDED"), lambda run: date_and_time(run.ended) if run.ended else ""),
    Column("mode", mark("MODE"), lambda run: display.mode_text(run.kind or None)),
    Column("why", mark("NOTE"), lambda run: run_ends.words(run.why)),
)


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What one begins with, also in the full width that spreadsheets of East Asia take for the same."""


def _csv(fleet_history: FleetHistory) -> str:
    """Return all trades by time, with local times and offset, and exact amounts."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TRADE_HEADS)
    currencies = {
        history.instance: summary.currencies_of_trades(history) for history in fleet_history.instances
    }
    trades = sorted(
        (trade for history in fleet_history.instances for trade in history.trades),
        key=lambda trade: trade.at,
    )
    for trade in trades:
        writer.writerow(
            [
                iso_with_offset(trade.at),
                *map(_cell, (trade.instance, trade.kind, trade.exchange, trade.symbol, trade.side)),
                format(trade.quantity, "f"),
                format(trade.price, "f"),
                format(trade.quantity * trade.price, "f"),
                format(trade.fee, "f"),
                _cell(trade.fee_currency),
                "yes" if trade.is_maker else "no",
                "" if trade.position is None else format(trade.position, "f"),
                "" if trade.realized is None else format(trade.realized, "f"),
                _cell(trade.trade_id),
                _cell(trade.order_id),
                _cell(currencies[trade.instance][trade.symbol]),
            ]
        )
    return text.getvalue()


def _cell(text: str) -> str:
    """Escape a text that a spreadsheet would take for a formula: it comes from an exchange, or a bot."""
    return f"'{text}" if text.startswith(FORMULAS) else text
