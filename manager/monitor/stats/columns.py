"""Define the columns of `stats` and `top`: format, sort order, and priority on a narrow terminal. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from manager.fleet import display, doing
from manager.fleet.amounts import aligned, money
from manager.i18n import Text, _, joined, listed, mark
from manager.monitor.stats.instance_stats import InstanceStats, Totals
from manager.util.formatting import age, disk_size, elapsed, memory_size, percent
from manager.util.text_table import Column, width


def _of_usage(row: InstanceStats, name: str) -> Any:
    return getattr(row.usage.last, name) if row.usage else None


def _pair(first: int | None, second: int | None) -> str:
    return "" if first is None or second is None else f"{memory_size(first)}/{memory_size(second)}"


def _both(row: InstanceStats, first: str, second: str) -> int | None:
    first_value, second_value = _of_usage(row, first), _of_usage(row, second)
    return None if first_value is None or second_value is None else int(first_value + second_value)


def _memory(row: InstanceStats) -> str:
    used, limit = _of_usage(row, "memory"), _of_usage(row, "memory_limit")
    return _pair(used, limit) if limit else memory_size(used)


def _up(row: InstanceStats) -> str:
    return "" if row.up_since is None else age(time.time() - row.up_since)


def _size(row: InstanceStats) -> str:
    """Return what its folders take, `>` if they have too many files to be counted in time."""
    if row.disk is None:
        return ""
    return ("" if row.disk.is_whole else ">") + disk_size(row.disk.size)


def _growth(row: InstanceStats) -> str:
    """Return what its folders have gained within the last hour."""
    if row.disk is None or row.disk.growth is None:
        return ""
    sign = "-" if row.disk.growth < 0 else "+"
    return f"{sign}{disk_size(abs(row.disk.growth))}"


def _as_of(row: InstanceStats) -> str:
    """Return the age of the last report of a bot that does not answer now, or of the price that it has."""
    at = row.figures_at
    if at is None or (row.report.pnl is None and row.report.position is None):
        return ""
    return str(Text("{age} ago", age=elapsed(time.time() - at))) if at else "?"


COLUMNS: Sequence[Column[InstanceStats]] = (
    Column("id", "ID", lambda row: row.id, lambda row: row.id.lower()),
    Column("mode", mark("MODE"), lambda row: display.mode_text(row.view.mode), lambda row: row.view.mode),
    Column(
        "state",
        mark("STATE"),
        lambda row: _(row.view.status.state),
        lambda row: doing.by_urgency(row.view),
        priority=2,
    ),
    Column(
        "doing",
        mark("DOING"),
        lambda row: display.doing_text(row.view),
        lambda row: doing.activity(row.view).doing,
        alone=("state", lambda row: display.state_or_doing(row.view)),
    ),
    Column("pnl", mark("P&L"), lambda row: display.pnl_text(row.report), lambda row: row.report.pnl),
    Column(
        "position",
        mark("POSITION"),
        lambda row: display.position_text(row.report),
        lambda row: row.report.position,
        priority=1,
    ),
    Column("as_of", mark("AS OF"), _as_of, lambda row: row.figures_at, priority=3),
    Column(
        "symbol", mark("SYMBOL"), lambda row: row.view.symbol or "", lambda row: row.view.symbol, priority=4
    ),
    Column(
        "strategy",
        mark("STRATEGY"),
        lambda row: row.view.strategy or "",
        lambda row: row.view.strategy,
        priority=8,
    ),
    Column(
        "cpu",
        "CPU",
        lambda row: percent(row.usage.cpu if row.usage else None),
        lambda row: row.usage.cpu if row.usage else None,
        priority=12,
        align="right",
    ),
    Column(
        "memory", mark("MEMORY"), _memory, lambda row: _of_usage(row, "memory"), priority=13, align="right"
    ),
    Column(
        "share",
        mark("MEM %"),
        lambda row: percent(row.usage.memory_share if row.usage else None),
        lambda row: row.usage.memory_share if row.usage else None,
        priority=14,
        align="right",
    ),
    Column(
        "pids",
        "PIDS",
        lambda row: str(_of_usage(row, "pids") or ""),
        lambda row: _of_usage(row, "pids"),
        priority=15,
        align="right",
    ),
    Column(
        "network",
        mark("NET IN/OUT"),
        lambda row: _pair(_of_usage(row, "received"), _of_usage(row, "sent")),
        lambda row: _both(row, "received", "sent"),
        priority=16,
        align="right",
    ),
    Column(
        "disk",
        mark("DISK R/W"),
        lambda row: _pair(_of_usage(row, "read"), _of_usage(row, "written")),
        lambda row: _both(row, "read", "written"),
        priority=17,
        align="right",
    ),
    Column(
        "size",
        mark("SIZE"),
        _size,
        lambda row: row.disk.size if row.disk else None,
        priority=10,
        align="right",
    ),
    Column(
        "growth",
        mark("GROWTH"),
        _growth,
        lambda row: row.disk.growth if row.disk else None,
        priority=11,
        align="right",
    ),
    Column(
        "restarts",
        mark("RESTARTS"),
        lambda row: str(row.restarts),
        lambda row: row.restarts,
        priority=6,
        align="right",
    ),
    Column(
        "up",
        mark("UP"),
        _up,
        lambda row: None if row.up_since is None else -row.up_since,
        priority=5,
        align="right",
    ),
)


def widths(
    rows: Sequence[Mapping[str, str]], columns: Sequence[Column[InstanceStats]] = COLUMNS
) -> dict[str, int]:
    """Return what each column needs for its heading and these cells, by its name."""
    return {
        column.name: max([width(_(column.heading)), *(width(row[column.name]) for row in rows)])
        for column in columns
    }


ALIGNED = ("pnl", "position")
"""Columns whose decimal points are aligned."""


def cells(
    rows: Sequence[InstanceStats],
    columns: Sequence[Column[InstanceStats]] = COLUMNS,
    shown: Sequence[Column[InstanceStats]] | None = None,
) -> list[dict[str, str]]:
    """Return every cell of the rows, by the column's name. `shown`: the columns that have room; None: all."""
    names = {column.name for column in (columns if shown is None else shown)}
    cell_of = {column.name: column.cell_among(names) for column in columns}
    texts = [{name: cell(row) for name, cell in cell_of.items()} for row in rows]
    for name in {column.name for column in columns} & set(ALIGNED):
        for row, text in zip(texts, aligned([row[name] for row in texts]), strict=True):
            row[name] = text
    return texts


def ordered(
    rows: Sequence[InstanceStats], column: Column[InstanceStats], *, is_reverse: bool = False
) -> list[InstanceStats]:
    """Return the rows sorted by one column, then by id; unknown values come last in either direction."""
    order = column.order or column.cell
    by_id = sorted(rows, key=lambda row: row.id.lower())
    known = [row for row in by_id if order(row) is not None]
    unknown = [row for row in by_id if order(row) is None]
    return sorted(known, key=order, reverse=is_reverse) + unknown


def total_line(sums: Totals) -> str:
    """Return `total: 1 failed, 2 running; P&L live +12.34 USDC, paper -0.50 USDC (2 of 3 instances); CPU
    4.1%, …`.
    """
    states = listed(f"{count} {_(state)}" for state, count in sums.states.items())
    gains = listed(f"{_(mode)} {money(value, quote)}" for (mode, quote), value in sums.pnl.items())
    parts = [
        str(Text("total: {states}", states=states)),
        str(_gains(sums, gains)) if gains else "",
        str(_use(sums)) if sums.with_usage else "",
    ]
    return joined(part for part in parts if part)


def _use(sums: Totals) -> Text:
    return Text("CPU {cpu}, memory {memory}", cpu=percent(sums.cpu), memory=memory_size(sums.memory))


def _gains(sums: Totals, amounts: str) -> Text:
    """Return the sum of P&L, and of how many instances: bots that do not answer are missing in it."""
    count = sum(sums.states.values()) - sums.moved
    if sums.with_pnl == count:
        return Text("P&L {amounts}", amounts=amounts)
    return Text(
        "P&L {amounts} ({known} of {count} instances)", amounts=amounts, known=sums.with_pnl, count=count
    )
