"""Add to the history's figures what a bot has earned since they were read, so that today's P&L and that of
the run beside it are of the same moment. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from manager.monitor.history import curve, sampling
from manager.monitor.history.curve import Currency
from manager.monitor.history.model import Sample
from manager.monitor.history.summary import Line
from manager.monitor.stats.instance_stats import InstanceStats
from manager.web.engine_side.figures import InstanceFigures

ZERO = Decimal(0)


def up_to_date(figures: InstanceFigures, row: InstanceStats) -> InstanceFigures:
    """Return the figures of an instance, with what its last report says beyond its last samples."""
    report = row.view.report
    if report is None or report.at is None or not (figures.last or figures.last_stored):
        return figures
    now = sampling.sample(row.view, None, report.at)
    return figures._replace(
        lines=[_with_today(line, figures.last.get(_key(line)), now) for line in figures.lines],
        in_all=_in_all(figures, now),
    )


def _key(line: Line) -> Currency:
    return (line.kind, line.quote or "")


def _with_today(line: Line, last: Sample | None, now: Sample) -> Line:
    if line.today is None or last is None or curve.day_of(last.at) != curve.day_of(now.at):
        return line
    return line._replace(today=line.today + _earned(last, now))


def _in_all(figures: InstanceFigures, now: Sample) -> Mapping[Currency, Decimal]:
    last = figures.last_stored
    if last is None or last.quote is None:
        return figures.in_all
    key = (last.kind, last.quote)
    return {**figures.in_all, key: figures.in_all.get(key, ZERO) + _earned(last, now)}


def _earned(last: Sample, now: Sample) -> Decimal:
    """Return what was earned between them; 0 where they cannot be compared."""
    if now.at <= last.at or now.pnl is None or (now.kind, now.quote) != (last.kind, last.quote):
        return ZERO
    return curve.earned(last, now) or ZERO
