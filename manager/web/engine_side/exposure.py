"""Sum up what the live bots hold, by asset and in value: as their last reports say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from manager.fleet import doing, leftovers
from manager.monitor.stats.instance_stats import InstanceStats

ZERO = Decimal(0)

Holding = tuple[InstanceStats, Decimal, str]
"""A live bot, how much it holds, and of what."""


class _Asset:
    """Hold one asset's figures while they are summed up."""

    def __init__(self) -> None:
        self.long = self.short = self.without_bot = ZERO
        self.bots: list[str] = []
        self.values: dict[str, Decimal] = {}
        self.is_valued = True


def by_asset(holdings: Iterable[Holding]) -> list[dict[str, Any]]:
    """Return what the live bots hold of each asset; what is not traded any more is named apart.

    `values`: by quote currency, at the price of each bot's last report; none where a price is not known.
    """
    assets: dict[str, _Asset] = {}
    for row, position, base in holdings:
        report = row.report
        asset = assets.setdefault(base, _Asset())
        if position > 0:
            asset.long += position
        else:
            asset.short -= position
        if report.price is None or report.quote is None:
            asset.is_valued = False
        else:
            before = asset.values.get(report.quote, ZERO)
            asset.values[report.quote] = before + position * report.price
        if is_without_bot(row):
            asset.without_bot += position
            asset.bots.append(row.id)
    return [_object(base, asset) for base, asset in sorted(assets.items())]


def worth(holdings: Iterable[Holding]) -> dict[str, Any]:
    """Return what all that is worth, by quote currency, and the assets of which a bot knows no price.

    The latter are in no sum; unknown is never 0.
    """
    sums: dict[str, dict[str, Decimal]] = {}
    unknown = set()
    for row, position, base in holdings:
        price, quote = row.report.price, row.report.quote
        if price is None or quote is None:
            unknown.add(base)
            continue
        of_quote = sums.setdefault(quote, dict.fromkeys(("long", "short", "without_bot"), ZERO))
        of_quote["long" if position > 0 else "short"] += abs(position) * price
        if is_without_bot(row):
            of_quote["without_bot"] += position * price
    return {
        "values": [
            {
                "quote": quote,
                "net": format(of_quote["long"] - of_quote["short"], "f"),
                **{name: format(value, "f") for name, value in of_quote.items()},
            }
            for quote, of_quote in sorted(sums.items())
        ],
        "unknown": sorted(unknown),
    }


def held(rows: Iterable[InstanceStats]) -> Iterator[Holding]:
    """Yield each live bot that holds something, with how much of what.

    What one holds that was moved to another machine is held by its bot there.
    """
    for row in rows:
        report = row.report
        if row.view.moved_to is not None:
            continue
        if report.position and report.base and not report.is_artificial and row.is_live:
            yield row, report.position, report.base


def is_without_bot(row: InstanceStats) -> bool:
    """Return whether nothing trades the position, and it is no dust: its bot is down, or has ended."""
    has_ended = not row.view.is_bot_up or doing.activity(row.view).doing in doing.ENDS
    return has_ended and not leftovers.has_left_dust(row.view)


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
