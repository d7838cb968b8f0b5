"""Check an order's quantity that was computed from max_position, in the numbers that the user set. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.config.settings import SHOWN_DIGITS, Settings
from gridbot.model.check import Check, Level
from gridbot.model.types import Market, as_text, floor_to


def _text(settings: Settings, shares: int) -> str:
    """Return `max_position 0.2 over 7 orders is 0.02857143 each`."""
    params = _params(settings, shares)
    return f"max_position {params['most_held']} over {shares} orders is {params['quantity']} each"


def share_small(settings: Settings, market: Market, shares: int, least: Decimal) -> Check:
    """Return that it is less than the exchange takes."""
    enough = as_text(least * shares)
    return Check(
        "share_small",
        Level.FAIL,
        f"{_text(settings, shares)}, less than {market.symbol} allows: {as_text(least)}",
        f"set a max_position of at least {enough}, or a quantity of at least {as_text(least)}",
        {**_params(settings, shares), "least": as_text(least), "symbol": market.symbol, "enough": enough},
    )


def share_large(settings: Settings, market: Market, shares: int, most: Decimal) -> Check:
    """Return that it is more than the exchange takes."""
    enough = as_text(most * shares)
    return Check(
        "share_large",
        Level.FAIL,
        f"{_text(settings, shares)}, more than {market.symbol} allows: {as_text(most)}",
        f"set a max_position of at most {enough}, or a quantity of at most {as_text(most)}",
        {**_params(settings, shares), "most": as_text(most), "symbol": market.symbol, "enough": enough},
    )


def share_rounded(settings: Settings, market: Market, shares: int) -> Check:
    """Return what an order is. It is no warning: the bot has rounded down what nobody has set."""
    used = as_text(floor_to(settings.quantity, market.lot))
    return Check(
        "share_rounded",
        Level.OK,
        f"an order is {used}: {_text(settings, shares)}, rounded down to the lot {as_text(market.lot)}",
        params={**_params(settings, shares), "lot": as_text(market.lot), "used": used},
    )


def _params(settings: Settings, shares: int) -> dict[str, str]:
    return {
        "most_held": as_text(settings.max_position or settings.quantity * shares),
        "shares": str(shares),
        "quantity": as_text(round(settings.quantity, SHOWN_DIGITS)),
    }
