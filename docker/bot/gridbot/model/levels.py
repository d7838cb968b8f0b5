"""Compute the prices of a grid's levels. Pure."""

from __future__ import annotations

import itertools
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from gridbot.model.errors import ConfigError
from gridbot.model.types import as_text, ceil_to, floor_to


def make_levels(lower: Decimal, upper: Decimal, count: int, mode: str, tick: Decimal) -> tuple[Decimal, ...]:
    """Return `count` prices from `lower` to `upper`, on the tick and inside the bounds.

    Raises ConfigError when two levels would fall onto one tick. A level at 0 is left out: no order can stand
    there.
    """
    if mode == "geometric" and lower <= 0:
        raise ConfigError("--grid-lower: a geometric grid needs a lower price above 0")
    first, last = ceil_to(lower, tick), floor_to(upper, tick)
    with localcontext() as context:
        context.prec = 50
        steps = count - 1
        if mode == "geometric":
            growth = (upper / lower).ln() / steps
            raw = [lower * (growth * i).exp() for i in range(count)]
        else:
            raw = [lower + (upper - lower) * i / steps for i in range(count)]
        levels = [(price / tick).to_integral_value(ROUND_HALF_EVEN) * tick for price in raw]
    levels[0], levels[-1] = first, last
    if any(low >= high for low, high in itertools.pairwise(levels)):
        raise ConfigError(
            f"--grid-num: {count} levels between {as_text(lower)} and {as_text(upper)}"
            f" are closer than the tick {as_text(tick)}"
        )
    return tuple(level for level in levels if level > 0)
