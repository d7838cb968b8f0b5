"""Decide when a run ends and when its range moves. Pure functions."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from gridbot.config.settings import Settings
from gridbot.model.condition import Code, Condition
from gridbot.model.errors import ConfigError
from gridbot.model.types import as_text


def pnl_limit_reached(settings: Settings, pnl: Decimal) -> Condition | None:
    """Return how the run ends at this P&L (quote currency, after fees), None when it goes on."""
    loss, profit = settings.stop_loss, settings.take_profit
    if loss is not None and pnl <= -loss:
        reason = f"stop loss: P&L {pnl:.4f} is at or below -{as_text(loss)}"
        return _stopped_out("stop_loss", as_text(-loss), pnl, reason)
    if profit is not None and pnl >= profit:
        reason = f"take profit: P&L {pnl:.4f} is at or above {as_text(profit)}"
        return _stopped_out("take_profit", as_text(profit), pnl, reason)
    return None


def range_left(lower: Decimal, upper: Decimal, tolerance: Decimal, price: Decimal) -> Condition | None:
    """Return how the price has left the range by more than `tolerance`, a share of the bound; else None."""
    if price > upper * (1 + tolerance):
        side, bound, name = "above", upper, "upper"
    elif price < lower * (1 - tolerance):
        side, bound, name = "below", lower, "lower"
    else:
        return None
    reason = f"price {as_text(price)} is {side} the {name} bound {as_text(bound)}"
    return Condition(
        Code.OUT_OF_RANGE, reason, {"price": as_text(price), "side": side, "bound": as_text(bound)}
    )


def bound_reached(left: Condition) -> Condition:
    """Return how a run ends that may not go on when the price has left its range as `left` says."""
    by = "upper_bound" if left.params["side"] == "above" else "lower_bound"
    params = {"by": by, "limit": left.params["bound"], "value": left.params["price"]}
    return Condition(Code.STOPPED_OUT, left.reason, params)


def _stopped_out(by: str, limit: str, value: Decimal, reason: str) -> Condition:
    return Condition(Code.STOPPED_OUT, reason, {"by": by, "limit": limit, "value": as_text(value)})


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
