"""Decide when a run ends and when its range moves. Pure functions."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from gridbot.config.settings import Settings
from gridbot.model.errors import ConfigError
from gridbot.model.types import as_text


def pnl_limit_reached(settings: Settings, pnl: Decimal) -> str | None:
    """Return why the run ends at this P&L (quote currency, after fees), None when it goes on."""
    if settings.stop_loss is not None and pnl <= -settings.stop_loss:
        return f"stop loss: P&L {pnl:.4f} is at or below -{as_text(settings.stop_loss)}"
    if settings.take_profit is not None and pnl >= settings.take_profit:
        return f"take profit: P&L {pnl:.4f} is at or above {as_text(settings.take_profit)}"
    return None


def range_left(lower: Decimal, upper: Decimal, tolerance: Decimal, price: Decimal) -> str | None:
    """Return how the price has left the range by more than `tolerance`, a share of the bound; else None."""
    if price > upper * (1 + tolerance):
        return f"price {as_text(price)} is above the upper bound {as_text(upper)}"
    if price < lower * (1 - tolerance):
        return f"price {as_text(price)} is below the lower bound {as_text(lower)}"
    return None


def moved_range(
    lower: Decimal, upper: Decimal, mode: str, price: Decimal, tick: Decimal
) -> tuple[Decimal, Decimal]:
    """Return the range moved to `price`: of the same width, or the same ratio for a geometric grid."""
    if mode == "geometric":
        half = (upper / lower).sqrt()
        low, high = price / half, price * half
    else:
        width = upper - lower
        low = price - width / 2
        if low <= 0:
            low = tick
        high = low + width
    low, high = (_to_tick(value, tick) for value in (low, high))
    if low <= 0 or high <= low:
        raise ConfigError(f"cannot move the range to {as_text(price)}")
    return low, high


def _to_tick(value: Decimal, tick: Decimal) -> Decimal:
    return (value / tick).to_integral_value(ROUND_HALF_EVEN) * tick
