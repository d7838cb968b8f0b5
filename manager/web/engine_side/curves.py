"""Draw P&L over time as evenly spaced values, with None where nothing was observed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal

from manager.monitor.history.curve import GAP_S, Point
from manager.monitor.history.model import Span
from manager.typed import NamedTuple

ZERO = Decimal(0)


class Moment(NamedTuple):
    """Hold what an instance had earned by then since the curve's begin. Unknown: nothing observed it then."""

    earned: Decimal
    is_known: bool


def moments(begin: float, end: float, count: int) -> list[float]:
    """Return evenly spaced moments, the first and the last included."""
    step = (end - begin) / (count - 1)
    return [begin + number * step for number in range(count)]


def of_instance(points: Sequence[Point], covered: Sequence[Span], at: Sequence[float]) -> list[Moment]:
    """Return what is known of one instance at these moments.

    It begins at 0: with the last point before them, or else its first one. Before that, and until it is seen
    again after a gap, it is unknown, but for the moment that is the nearest to the point.
    """
    if not points:
        return [Moment(ZERO, is_known=False)] * len(at)
    base = next((point for point in reversed(points) if point.at <= at[0]), points[0])
    near_s = min(GAP_S, (at[1] - at[0]) / 2) if len(at) > 1 else GAP_S
    result, index, last_at, next_at = [], -1, -math.inf, points[0].at
    known, unknown = Moment(ZERO, is_known=True), Moment(ZERO, is_known=False)
    for moment in at:
        if next_at <= moment:
            while next_at <= moment:
                index += 1
                next_at = points[index + 1].at if index + 1 < len(points) else math.inf
            last_at, earned = points[index].at, points[index].pnl - base.pnl
            known, unknown = Moment(earned, is_known=True), Moment(earned, is_known=False)
        if moment - last_at <= GAP_S or (
            index >= 0 and any(span.begin <= moment <= span.end + GAP_S for span in covered)
        ):
            result.append(known)
        elif next_at - moment <= near_s:
            result.append(Moment(points[index + 1].pnl - base.pnl, is_known=True))
        else:
            result.append(unknown)
    return result


def values(curve: Sequence[Moment]) -> list[Decimal | None]:
    """Return one instance's values, None where they are unknown."""
    return [moment.earned if moment.is_known else None for moment in curve]


def deepest_fall(curve: Iterable[Decimal | None]) -> Decimal:
    """Return the largest fall from a high, over what is known."""
    high, fall = None, ZERO
    for value in curve:
        if value is not None:
            high = value if high is None or value > high else high
            fall = max(fall, high - value)
    return fall


def together(curves: Iterable[Sequence[Moment]]) -> list[Decimal | None]:
    """Return the sum: an instance that is out of sight counts as it was last seen, unknown where all are."""
    return [
        sum((moment.earned for moment in column), ZERO) if any(moment.is_known for moment in column) else None
        for column in zip(*curves, strict=True)
    ]
