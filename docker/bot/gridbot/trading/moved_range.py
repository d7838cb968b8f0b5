"""Check the smallest orders of a range that `adjust_range` has moved down. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gridbot.config.settings import Settings
from gridbot.model.check import Check, Level
from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import Market, as_text, ceil_to, floor_to
from gridbot.strategies import risk


def moved_range(settings: Settings, market: Market) -> Iterator[Check]:
    """Warn where the levels of the range, moved down once, are below the least that the exchange takes."""
    moves = settings.boundary_check and settings.boundary_action == "adjust_range"
    if not (settings.is_grid and moves and settings.max_range_moves > 0):
        return
    lowest = settings.grid_lower * (1 - settings.boundary_tolerance)
    qty = floor_to(settings.quantity, market.lot)
    try:
        lower, upper = risk.moved_range(
            settings.grid_lower, settings.grid_upper, settings.grid_mode, lowest, market.tick
        )
        levels = make_levels(lower, upper, settings.grid_num, settings.grid_mode, market.tick)
    except ConfigError:
        return
    small = [level for level in levels if qty * level < market.min_notional]
    if not small or qty < market.min_qty or qty * settings.grid_lower < market.min_notional:
        return  # at the range's beginning they are too small, too: that is a line of its own
    enough = as_text(ceil_to(market.min_notional / min(small), market.lot))
    least, end = as_text(market.min_notional), as_text(min(small))
    yield Check(
        "notional_small_moved",
        Level.WARN,
        f"when adjust_range moves the range down to {end}, {len(small)} levels are below the exchange's"
        f" minimum of {least} {market.quote}",
        f"set a quantity of at least {enough}",
        {"count": str(len(small)), "least": least, "quote": market.quote, "end": end, "enough": enough},
    )
