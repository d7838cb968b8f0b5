"""The columns of `stats` and `top`: how each figure is written, sorted, and when it gives way on a narrow terminal. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from manager.fleet import display, doing
from manager.fleet.amounts import aligned, money
from manager.i18n import Text, _, mark
from manager.monitor.stats.instance_stats import InstanceStats, Totals
from manager.util import console
from manager.util.text_table import GAP, width


class Column(NamedTuple):
    """One column. `order` gives what rows are sorted by, None for those that come last in any case.

    `rank`: which columns give way first on a narrow terminal: the highest; 0 never does.
    """

    key: str
    head: str
    cell: Callable[[InstanceStats], str]
    order: Callable[[InstanceStats], Any]
    rank: int = 0
    is_number: bool = False


def percent(value: float | None) -> str:
    """`3.4%`; nothing for what is not known."""
    return "" if value is None else f"{value:.1f}%"


def size(value: int | None) -> str:
    """`512B`, `9.4M`, `138M`, `1.2G`: in powers of 1024, as limits are."""
    if value is None:
        return ""
    amount, units = float(value), iter("BKMGTP")
    unit = next(units)
    while amount >= 999.5 and unit != "P":
        amount, unit = amount / 1024, next(units)
    return f"{amount:.1f}{unit}" if amount < 99.95 and unit != "B" else f"{amount:.0f}{unit}"


def _of_usage(row: InstanceStats, name: str) -> Any:
    return getattr(row.usage.last, name) if row.usage else None


def _pair(first: int | None, second: int | None) -> str:
    return "" if first is None or second is None else f"{size(first)}/{size(second)}"


def _both(row: InstanceStats, first: str, second: str) -> int | None:
    one, other = _of_usage(row, first), _of_usage(row, second)
    return None if one is None or other is None else int(one + other)


def _memory(row: InstanceStats) -> str:
    used, limit = _of_usage(row, "memory"), _of_usage(row, "memory_limit")
    return _pair(used, limit) if limit else size(used)


def _as_of(row: InstanceStats) -> str:
    """How old the last report of a bot is that does not answer now."""
    if row.as_of is None or (row.report.pnl is None and row.report.position is None):
        return ""
    return str(Text("{age} ago", age=console.age(time.time() - row.as_of))) if row.as_of else "?"


def _up(row: InstanceStats) -> str:
    return "" if row.up_since is None else console.age(time.time() - row.up_since)


COLUMNS: Sequence[Column] = (
    Column("id", "ID", lambda row: row.id, lambda row: row.id.lower()),
    Column("mode", mark("MODE"), lambda row: display.mode_text(row.view.mode), lambda row: row.view.mode),
    Column(
        "state", mark("STATE"),
        lambda row: _(row.view.verdict.state), lambda row: doing.by_urgency(row.view),
    ),
    Column(
        "doing", mark("DOING"), lambda row: display.doing_text(row.view),
        lambda row: found if (found := doing.activity(row.view).doing) else None,
    ),
    Column("pnl", mark("P&L"), lambda row: display.pnl_text(row.report), lambda row: row.report.pnl, is_number=True),
    Column(
        "position", mark("POSITION"), lambda row: display.position_text(row.report), lambda row: row.report.position,
        rank=1, is_number=True,
    ),
    Column("as_of", mark("AS OF"), _as_of, lambda row: row.as_of, rank=2),
    Column("symbol", mark("SYMBOL"), lambda row: row.view.symbol or "", lambda row: row.view.symbol, rank=3),
    Column(
        "strategy", mark("STRATEGY"), lambda row: row.view.strategy or "", lambda row: row.view.strategy, rank=8
    ),
    Column(
        "cpu", "CPU", lambda row: percent(row.usage.cpu if row.usage else None),
        lambda row: row.usage.cpu if row.usage else None, rank=12, is_number=True,
    ),
    Column("memory", mark("MEMORY"), _memory, lambda row: _of_usage(row, "memory"), rank=13, is_number=True),
    Column(
        "share", mark("MEM %"), lambda row: percent(row.usage.memory_share if row.usage else None),
        lambda row: row.usage.memory_share if row.usage else None, rank=14, is_number=True,
    ),
    Column(
        "pids", "PIDS", lambda row: str(_of_usage(row, "pids") or ""), lambda row: _of_usage(row, "pids"),
        rank=15, is_number=True,
    ),
    Column(
        "network", mark("NET IN/OUT"), lambda row: _pair(_of_usage(row, "received"), _of_usage(row, "sent")),
        lambda row: _both(row, "received", "sent"), rank=16, is_number=True,
    ),
    Column(
        "disk", mark("DISK R/W"), lambda row: _pair(_of_usage(row, "read"), _of_usage(row, "written")),
        lambda row: _both(row, "read", "written"), rank=17, is_number=True,
    ),
    Column(
        "restarts", mark("RESTARTS"), lambda row: str(row.restarts), lambda row: row.restarts, rank=6, is_number=True
    ),
    Column(
        "up", mark("UP"), _up, lambda row: None if row.up_since is None else -row.up_since, rank=4, is_number=True
    ),
)  # fmt: skip

ALIGNED = ("pnl", "position")
"""Columns whose points stand below each other."""


def padded(text: str, cells: int, *, is_number: bool) -> str:
    """The text in so many cells, numbers at the right."""
    space = " " * (cells - width(text))
    return space + text if is_number else text + space


def fitting(widths: Mapping[str, int], room: int | None) -> list[Column]:
    """The columns that fit into so many cells (None: as many as there are). `widths`: what each needs, by key."""
    kept = list(COLUMNS)
    while room is not None and sum(widths[each.key] + GAP for each in kept) - GAP > room:
        first = max(kept, key=lambda each: each.rank)
        if first.rank == 0:
            break
        kept.remove(first)
    return kept


def widths(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """What each column needs for its head and these cells."""
    return {each.key: max([width(_(each.head)), *(width(row[each.key]) for row in rows)]) for each in COLUMNS}


def cells(rows: Sequence[InstanceStats]) -> list[dict[str, str]]:
    """Every cell of the rows, by the column's key."""
    found = [{each.key: each.cell(row) for each in COLUMNS} for row in rows]
    for key in ALIGNED:
        for row, text in zip(found, aligned([row[key] for row in found]), strict=True):
            row[key] = text
    widths = {key: max((len(row[key]) for row in found), default=0) for key in ALIGNED}
    for row in found:
        row.update({key: row[key].ljust(widths[key]) for key in ALIGNED if row[key]})
    return found


def ordered(
    rows: Sequence[InstanceStats], column: Column, *, is_reverse: bool = False
) -> list[InstanceStats]:
    """The rows by one column, by id where that says nothing; what is not known comes last either way."""
    by_id = sorted(rows, key=lambda row: row.id.lower())
    known = [row for row in by_id if column.order(row) is not None]
    unknown = [row for row in by_id if column.order(row) is None]
    return sorted(known, key=column.order, reverse=is_reverse) + unknown


def total_line(sums: Totals) -> str:
    """`total: 1 failed, 2 running; P&L live +12.34 USDC, paper -0.50 USDC (2 of 3 instances); CPU 4.1%, memory 301M`."""
    states = ", ".join(f"{count} {_(state)}" for state, count in sums.states.items())
    gains = ", ".join(f"{_(mode)} {money(value, quote)}" for (mode, quote), value in sums.pnl.items())
    parts = [
        str(Text("total: {states}", states=states)),
        str(_gains(sums, gains)) if gains else "",
        str(Text("CPU {cpu}, memory {memory}", cpu=percent(sums.cpu), memory=size(sums.memory))),
    ]
    return "; ".join(part for part in parts if part)


def _gains(sums: Totals, amounts: str) -> Text:
    """A sum that lacks somebody says so: a bot that does not answer would pass for one that has lost nothing."""
    count = sum(sums.states.values())
    if sums.with_pnl == count:
        return Text("P&L {amounts}", amounts=amounts)
    return Text(
        "P&L {amounts} ({known} of {count} instances)", amounts=amounts, known=sums.with_pnl, count=count
    )
