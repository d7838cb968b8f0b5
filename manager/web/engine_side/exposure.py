"""Sum up what the live bots hold, by asset: as their last reports say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from manager.fleet import doing
from manager.monitor.stats.instance_stats import InstanceStats

ZERO = Decimal(0)


class _Asset:
    """Hold one asset's figures while they are summed up."""

    def __init__(self) -> None:
        self.long = self.short = self.without_bot = ZERO
        self.bots: list[str] = []
        self.values: dict[str, Decimal] = {}
        self.is_valued = True


def exposure(rows: Iterable[InstanceStats]) -> list[dict[str, Any]]:
    """Return what the live bots hold of each asset; what is not traded any more is named apart.

    `values`: by quote currency, at the price of each bot's last report; none where a price is not known.
    """
    assets: dict[str, _Asset] = {}
    for row in rows:
        report = row.report
        if not row.is_live or report.is_artificial or not report.position or not report.base:
            continue
        asset = assets.setdefault(report.base, _Asset())
        if report.position > 0:
            asset.long += report.position
        else:
            asset.short -= report.position
        if report.price is None or report.quote is None:
            asset.is_valued = False
        else:
            before = asset.values.get(report.quote, ZERO)
            asset.values[report.quote] = before + report.position * report.price
        if is_without_bot(row) and not doing.has_left_dust(row.view):
            asset.without_bot += report.position
            asset.bots.append(row.id)
    return [_object(base, asset) for base, asset in sorted(assets.items())]


def is_without_bot(row: InstanceStats) -> bool:
    """Return whether nothing trades the position: the bot does not run, or has ended its run."""
    return not row.view.is_bot_up or doing.activity(row.view).doing in doing.ENDS


def _object(base: str, asset: _Asset) -> dict[str, Any]:
    values = sorted(asset.values.items()) if asset.is_valued else []
    return {
        "base": base,
        "net": format(asset.long - asset.short, "f"),
        "long": format(asset.long, "f"),
        "short": format(asset.short, "f"),
        "without_bot": format(asset.without_bot, "f"),
        "bots_gone": sorted(asset.bots),
        "values": [{"quote": quote, "value": format(value, "f")} for quote, value in values],
    }
