"""Define the columns of how a run goes, which `stats` shows when they are named. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from manager.fleet.amounts import money
from manager.i18n import mark
from manager.monitor.stats.columns import COLUMNS
from manager.monitor.stats.instance_stats import InstanceStats
from manager.util.formatting import percent
from manager.util.text_table import Column

Value = Callable[[InstanceStats], Decimal | None]


def _share(value: Value) -> Callable[[InstanceStats], str]:
    def cell(row: InstanceStats) -> str:
        share = value(row)
        return percent(None if share is None else share * 100)

    return cell


def _amount(value: Value) -> Callable[[InstanceStats], str]:
    def cell(row: InstanceStats) -> str:
        amount = value(row)
        return "" if amount is None else money(amount, row.report.quote)

    return cell


def _latency(row: InstanceStats) -> str:
    seconds = row.report.order_latency
    return "" if seconds is None else f"{seconds * 1000:.0f}ms"


def _drawdown(row: InstanceStats) -> Decimal | None:
    """Return the deepest fall as what it is, a loss."""
    return None if row.report.max_drawdown is None else -row.report.max_drawdown


def _column(
    name: str, heading: str, value: Value, write: Callable[[Value], Callable[[InstanceStats], str]]
) -> Column[InstanceStats]:
    return Column(name, heading, write(value), value, align="right")


FIGURE_COLUMNS: Sequence[Column[InstanceStats]] = (
    _column("maker_share", mark("MAKER"), lambda row: row.report.maker_share, _share),
    _column("reject_rate", mark("REJECTED"), lambda row: row.report.reject_rate, _share),
    _column("max_drawdown", mark("DRAWDOWN"), _drawdown, _amount),
    _column("profit_per_grid", mark("PER GRID"), lambda row: row.report.profit_per_grid, _amount),
    _column("apr", "APR", lambda row: row.report.apr, _share),
    Column("order_latency", mark("LATENCY"), _latency, lambda row: row.report.order_latency, align="right"),
)
ALL = {column.name: column for column in (*COLUMNS, *FIGURE_COLUMNS)}


def named(names: Sequence[str] | None) -> Sequence[Column[InstanceStats]]:
    """Return the columns of these names, in their order; without names those that are usually shown."""
    return [ALL[name] for name in names] if names else COLUMNS
