"""Check, before the first order, that the exchange takes orders and positions that large. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from gridbot.config.settings import Settings
from gridbot.exchanges.account_facts import AccountFacts
from gridbot.model.check import Check, Level
from gridbot.model.types import ZERO, Market, as_text, floor_to
from gridbot.trading.share_checks import share_large
from gridbot.trading.worst_case import RunningGrid, worst_cases


def largest(settings: Settings, market: Market, prices: Sequence[Decimal]) -> Iterator[Check]:
    """Compare one order, and how many rest at once, with the most that the exchange takes."""
    limits = (market.largest_order(price) for price in prices)
    most_qty = min((limit for limit in limits if limit is not None), default=None)
    if most_qty is not None and floor_to(settings.quantity, market.lot) > most_qty:
        given, most = as_text(settings.quantity), as_text(most_qty)
        if settings.shares is not None:
            yield share_large(settings, market, settings.shares, most_qty)
        else:
            yield Check(
                "quantity_large",
                Level.FAIL,
                f"quantity {given} is more than {market.symbol} allows: {most}",
                f"set a quantity of at most {most}",
                {"quantity": given, "most": most, "symbol": market.symbol},
            )
    count = _most_orders(settings)
    if market.max_orders is not None and count > market.max_orders:
        limit = str(market.max_orders)
        yield Check(
            "orders_too_many",
            Level.FAIL,
            f"up to {count} orders rest at once, and {market.symbol} allows {limit}",
            "set fewer levels or orders",
            {"count": str(count), "most": limit, "symbol": market.symbol},
        )


def _most_orders(settings: Settings) -> int:
    """Return how many orders rest at once: those of max_position, twice where both sides may be entered."""
    count = settings.grid_num - 1 if settings.is_grid else 2 * settings.max_orders
    if settings.max_position is None:
        return count
    is_one_way = settings.is_grid and (settings.grid_type != "neutral" or not settings.perp)
    return min(count, int((1 if is_one_way else 2) * settings.max_position / settings.quantity))


def position_limit(
    settings: Settings,
    market: Market,
    levels: Sequence[Decimal],
    facts: AccountFacts,
    running: RunningGrid | None,
) -> Iterator[Check]:
    """Compare the largest position with the one that the exchange allows: beyond it orders are refused."""
    price = max([*levels, *([facts.price] if facts.price else [])], default=None)
    limits = [market.max_held]
    if facts.max_held_value is not None and price is not None:
        limits.append(floor_to(facts.max_held_value / price, market.lot))
    most = min((limit for limit in limits if limit is not None), default=None)
    if most is None:
        return
    cases = worst_cases(settings, market, levels, facts.price or price or ZERO, running)
    held = max([settings.max_position or ZERO, *(case.qty for case in cases)])
    if held > most:
        shown, limit = as_text(held), as_text(most)
        yield Check(
            "position_large",
            Level.FAIL,
            f"a position of {shown} {market.base} is more than {market.symbol} allows this account: {limit}",
            f"set a max_position of at most {limit}, or a lower leverage where the limit depends on it",
            {"position": shown, "most": limit, "base": market.base, "symbol": market.symbol},
        )
