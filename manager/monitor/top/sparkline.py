"""Draw each instance's last figures as a line of small bars. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from manager.monitor.stats.instance_stats import InstanceStats

Kind = Literal["cpu", "pnl"]

KEPT = 40
"""Bars that are kept: the widest line that fits."""

EVERY_S: Mapping[Kind, float] = {"cpu": 0.0, "pnl": 30.0}
"""Interval of the bars: CPU at each observation, P&L over the last twenty minutes."""

BARS = "▁▂▃▄▅▆▇█"
LEAST_CPU_SPAN = 5.0
"""Percent: the noise of an idle bot must not fill the scale."""


class Trends:
    """Hold the past CPU and P&L, by instance."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Kind], deque[float | None]] = {}
        self._began_at: dict[Kind, float] = {}

    def add(self, rows: Iterable[InstanceStats], at: float) -> None:
        """Add one observation at a monotonic time; instances missing in it are forgotten."""
        fresh = [kind for kind, every in EVERY_S.items() if at - self._began_at.get(kind, -every) >= every]
        self._began_at.update(dict.fromkeys(fresh, at))
        trends: dict[tuple[str, Kind], deque[float | None]] = {}
        for row in rows:
            for kind in EVERY_S:
                values = self._seen.get((row.id, kind)) or deque(maxlen=KEPT)
                if values and kind not in fresh:
                    values.pop()
                values.append(_value(row, kind))
                trends[row.id, kind] = values
        self._seen = trends

    def line(self, instance: str, kind: Kind, cells: int) -> str:
        """Return the last bars, the newest on the right."""
        return bars(list(self._seen.get((instance, kind), ()))[-cells:], kind)


def _value(row: InstanceStats, kind: Kind) -> float | None:
    if kind == "cpu":
        return row.usage.cpu if row.usage else None
    return None if row.report.pnl is None else float(row.report.pnl)


def bars(values: Sequence[float | None], kind: Kind) -> str:
    """Return a bar for each value, a space if unknown.

    CPU starts at 0; P&L is scaled between its extremes.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low = 0.0 if kind == "cpu" else min(known)
    span = max(max(known) - low, LEAST_CPU_SPAN if kind == "cpu" else 0.0)

    def bar(value: float) -> str:
        return BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))] if span else BARS[0]

    return "".join(" " if value is None else bar(value) for value in values)
