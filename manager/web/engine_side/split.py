"""Split the P&L of the present runs into what is realised, what is open, and fees. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from manager.monitor.stats.instance_stats import InstanceStats

PARTS = ("realized", "unrealized", "fees")


def split(rows: Iterable[InstanceStats]) -> Mapping[tuple[str, str], Mapping[str, Decimal | None]]:
    """Return the sums of each kind and currency; None for a part that one of its bots does not report.

    They are of the same bots as the P&L beside them.
    """
    found: dict[tuple[str, str], dict[str, Decimal | None]] = {}
    for row in rows:
        report = row.report
        if report.pnl is None or report.quote is None or row.has_mode_mismatch:
            continue
        kind = (report.market if report.is_artificial else row.view.mode) or ""
        sums = found.setdefault((kind, report.quote), dict.fromkeys(PARTS, Decimal(0)))
        for part in PARTS:
            before, more = sums[part], getattr(report, part)
            sums[part] = None if before is None or more is None else before + more
    return found
