"""Compute two-sided quotes around the price, shifted by the position. Pure functions.

Bid i and ask i stand (i + 1) half-spreads from the price. Both sides are shifted against the position: with a
skew of 1 and a position at its maximum, by one half-spread. Further than the threshold from the target, only
the way back is quoted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Mapping, Sequence
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
    # Whether a fill may be listed after its order was cancelled, as on no simulated account.
    may_fill_late: bool = False


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


def plan(
    quotes: Quotes,
    market: Market,
    live: Sequence[Order],
    price: Decimal,
    position: Decimal,
    late: Sequence[Order] = (),
) -> Plan:
    """Return what to cancel and place: orders that are near enough to a quote stay, others are replaced.

    One that is replaced keeps its place until it is gone, so that no more than `max_orders` a side rest.

    Worst case first: if every live and every new buy is filled, the position stays at or below max_position,
    and the same for sells; on a spot market no more is offered than is held. What rests beyond that, because
    an order that was cancelled is told to be filled after all, is cancelled, the furthest from the price
    first. The same for the `late`, which have ended, and of which a fill may be listed yet. As they leave
    less room the more quotes are replaced, only so many are as there is room for; the others rest where they
    are.
    """
    ended = _counted(quotes, market, late, price)
    room = _room(quotes, market, [*live, *ended], position)
    missing, spare = _compare(quotes, market, live, price, position)
    slow = [side for side in Side if quotes.may_fill_late and (market.perp or side is Side.BUY)]
    cancel = _replaced(spare, missing, ended, room, price, slow)
    left = _room(quotes, market, [], position)
    kept = [order for order in live if order not in cancel]
    for order in sorted(kept, key=lambda order: abs(order.price - price)):
        if order.remaining > left[order.side]:
            cancel.append(order)
        else:
            left[order.side] -= order.remaining
    busy, count = {order.slot for order in live}, Counter(order.side for order in live)
    place = list[OrderRequest]()
    for request in missing:
        if count[request.side] < quotes.max_orders and all(one.price != request.price for one in live):
            for fitted in _fitted(market, request, busy, room[request.side]):
                place.append(fitted)
                busy.add(fitted.slot)
                room[fitted.side] -= fitted.qty
                count[fitted.side] += 1
    return Plan(tuple(cancel), tuple(place))


def counter_orders(
    quotes: Quotes,
    market: Market,
    live: Sequence[Order],
    position: Decimal,
    order: Order,
    filled: Decimal,
    late: Sequence[Order] = (),
) -> list[OrderRequest]:
    """Return the quote that takes the place of `order`, which is told, and not known, to be filled whole.

    The market is taken to be where that was. Nothing is cancelled for it, and there has to be room beside all
    that is live, the told order included: what is told may not be true.
    """
    if filled < order.qty:
        return []
    after = position + order.side.sign * (filled - order.filled)
    others = [other for other in live if other.client_id != order.client_id]
    missing, _cancel = _compare(quotes, market, others, order.price, after)
    request = next((one for one in missing if one.side is order.side), None)
    is_full = sum(other.side is order.side for other in others) >= quotes.max_orders
    if request is None or is_full or any(one.price == request.price for one in live):
        return []
    room = _room(quotes, market, [*live, *_counted(quotes, market, late, order.price)], position)
    return _fitted(market, request, {one.slot for one in live}, room[request.side])


def _compare(
    quotes: Quotes, market: Market, live: Sequence[Order], price: Decimal, position: Decimal
) -> tuple[list[OrderRequest], list[Order]]:
    """Return the quotes that no live order is near enough to, best ones first, and the orders too many."""
    near = max(price * quotes.spread / 200 * REQUOTE_SHARE, market.tick)
    missing, spare = ideal_quotes(quotes, market, price, position), list[Order]()
    for order in live:
        own = [request for request in missing if request.side is order.side]
        nearest = min(own, key=lambda request: abs(request.price - order.price), default=None)
        if nearest is None or abs(nearest.price - order.price) > near:
            spare.append(order)
        else:
            missing.remove(nearest)
    return missing, spare


def _replaced(
    spare: Sequence[Order],
    missing: Sequence[OrderRequest],
    late: Sequence[Order],
    room: Mapping[Side, Decimal],
    price: Decimal,
    slow: Sequence[Side],
) -> list[Order]:
    """Return which of the orders that are near enough to no quote to cancel now.

    Those are the ones too many, and as many others as there is room for their successors beside all that
    counts. Without any, as of a bot at its bound, on a `slow` side one at a time makes room for the next.
    """
    chosen = set[int]()
    for side in Side:
        own = sorted(
            (order for order in spare if order.side is side), key=lambda order: -abs(order.price - price)
        )
        surplus = max(len(own) - sum(request.side is side for request in missing), 0)
        left = room[side]
        waits = any(order.side is side for order in late)
        chosen |= {order.client_id for order in own[:surplus]}
        for order in own[surplus:]:
            if order.remaining <= left:
                left -= order.remaining
            elif waits:
                continue
            else:
                waits = side in slow
            chosen.add(order.client_id)
    return [order for order in spare if order.client_id in chosen]


def _counted(quotes: Quotes, market: Market, late: Sequence[Order], price: Decimal) -> list[Order]:
    """Return the orders that have ended, and count as if they rested.

    Of a spot market's sales those that the price is beyond, or nearer to than to a new quote: all that is
    held is offered there, and a second sale of what is gone is refused.
    """
    half = price * quotes.spread / 200
    return [
        order
        for order in late
        if market.perp or order.side is Side.BUY or order.side.sign * (price - order.price) < half
    ]


def _room(quotes: Quotes, market: Market, orders: Sequence[Order], position: Decimal) -> dict[Side, Decimal]:
    """Return how much more may be bought, and sold, beside these orders."""
    floor = -quotes.max_position if market.perp else ZERO
    room = {Side.BUY: quotes.max_position - position, Side.SELL: position - floor}
    for order in orders:
        room[order.side] -= order.remaining
    return room


def _fitted(market: Market, request: OrderRequest, busy: Container[str], room: Decimal) -> list[OrderRequest]:
    """Return the order for a quote in a free slot, as large as there is room for; none without any."""
    qty, side = min(request.qty, floor_to(max(room, ZERO), market.lot)), request.side
    if not market.is_tradable(qty, request.price):
        return []
    slot = next(name for n in itertools.count() if (name := f"{side.value}{n}") not in busy)
    return [OrderRequest(slot, side, request.price, qty, post_only=True)]
