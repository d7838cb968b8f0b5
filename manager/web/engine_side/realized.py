"""Draw what was realised over time, as P&L is: run is added to run. The rest is of open positions. Pure."""

from __future__ import annotations

from typing import Any

from manager.monitor.history import curve, summary
from manager.monitor.history.reader import InstanceHistory


def curves_of(history: InstanceHistory) -> list[dict[str, Any]]:
    """Return the realised P&L of each kind and currency, as the points of `history --json`."""
    samples = [sample._replace(pnl=sample.realized) for sample in history.samples]
    curves = []
    for (kind, quote), members in curve.by_currency(samples).items():
        points = curve.points(members, list(curve.steps(members, history.covered)))
        curves.append({"kind": kind, "quote": quote, "points": summary.points_object(points)})
    return curves
