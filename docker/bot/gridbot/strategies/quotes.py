"""Compute two-sided quotes around the price, shifted by the position. Pure functions.

Bid i and ask i stand (i + 1) half-spreads from the price. Both sides are shifted against the position: with a
skew of 1 and a position at its maximum, by one half-spread. Further than the threshold from the target, only
the way back is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, ceil_to, floor_to
from gridbot.strategies.grid import Plan

# A quote is moved when it is off by more than this share of the half-spread; less would cancel and place all
# the time.
REQUOTE_SHARE = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Quotes:
    """Hold the parameters. `spread` is in percent of the price from best bid to best ask."""

    spread: Decimal
    qty: Decimal
    max_orders: int
    max_position: Decimal
    target: Decimal = ZERO
    threshold: Decimal | None = None
    skew: Decimal = ZERO


def ideal_quotes(quotes: Quotes, market: Market, price: Decimal, position: Decimal) -> list[OrderRequest]:
    """Return the quotes for `price` and `position`, best ones first, regardless of live orders."""
    half = price * quotes.spread / 200
    distance = position - quotes.target
    shift = -half * quotes.skew * max(min(distance / quotes.max_position, Decimal(1)), Decimal(-1))
    single_side = None
    if quotes.threshold is not None and abs(distance) > quotes.threshold:
        single_side = Side.SELL if distance > 0 else Side.BUY
    requests = []
    for i in range(quotes.max_orders):
        for side in Side:
            if single_side is not None and side is not single_side:
                continue
            raw = price + shift - side.sign * half * (i + 1)
            if side is Side.BUY:
                level = min(floor_to(raw, market.tick), price - market.tick)
            else:
                level = max(ceil_to(raw, market.tick), price + market.tick)
            if level > 0:
                requests.append(OrderRequest(f"{side.value}{i}", side, level, quotes.qty, post_only=True))
    return requests


def plan(quotes: Quotes, market: Market, live: Sequence[Order], price: Decimal, position: Decimal) -> Plan:
    """Return what to cancel and place: quotes that are near enough stay, others are replaced.

    Worst case first: if every live and every new buy is filled, the position stays at or below max_position,
    and the same for sells; on a spot market no more is offered than is held. What rests beyond that, because
    an order that was cancelled is told to be filled after all, is cancelled, the furthest from the price
    first.
    """
    near = price * quotes.spread / 200 * REQUOTE_SHARE
    ideal = {request.slot: request for request in ideal_quotes(quotes, market, price, position)}
    cancel = [
        order
        for order in live
        if order.slot not in ideal or abs(ideal[order.slot].price - order.price) > max(near, market.tick)
    ]
    floor = -quotes.max_position if market.perp else ZERO
    room = {Side.BUY: quotes.max_position - position, Side.SELL: position - floor}
    kept = [order for order in live if order not in cancel]
    left = dict(room)
    for order in sorted(kept, key=lambda order: abs(order.price - price)):
        if order.remaining > left[order.side]:
            cancel.append(order)
        else:
            left[order.side] -= order.remaining
    for order in live:
        room[order.side] -= order.remaining
    busy = {order.slot for order in live}
    prices = {order.price for order in live}
    place = []
    for request in ideal.values():
        if request.slot in busy or request.price in prices:
            continue
        qty = min(request.qty, floor_to(max(room[request.side], ZERO), market.lot))
        if market.is_tradable(qty, request.price):
            room[request.side] -= qty
            place.append(OrderRequest(request.slot, request.side, request.price, qty, post_only=True))
    return Plan(tuple(cancel), tuple(place))
