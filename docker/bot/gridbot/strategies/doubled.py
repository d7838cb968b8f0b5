"""Find what would trade a cell twice: an order's fill may be listed after it was cancelled and replaced.

An entry's level waits while its last order may have been filled. An exit is placed once more at once, as what
is held has to be closed; so what turns out to be traded already is cancelled in the tick that books it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from gridbot.model.types import ZERO, Market, Order, OrderRequest, floor_to


def may_be_filled(request: OrderRequest, late: Sequence[Order]) -> bool:
    """Tell whether a level waits, as orders of it were cancelled just now, unfilled as far as is known.

    An entry waits for one, an exit, without which the position stays open, only for two. What was filled in
    part before is listed already, and its level is renewed at once.
    """
    unknown = sum(
        order.price == request.price and order.side is request.side and not order.filled for order in late
    )
    return unknown > (0 if request.post_only else 1)


def surplus(market: Market, own: Sequence[Order], held: Decimal, told: Collection[int]) -> Order | None:
    """Return the live order of a cell that would trade again what another one has, None without one.

    That is an exit that closes more than the cell holds, or an entry of a cell that holds what this entry has
    not filled. With an order that answers a fill before it is booked, both look alike until it is.
    """
    if any(order.client_id in told for order in own):
        return None
    if exits := exits_of(own):
        closes = sum((order.remaining for order in exits), ZERO)
        if closes + held * exits[0].side.sign >= market.lot:
            return exits[-1]
    for entry in own:
        more = floor_to(abs(held) - entry.filled, market.lot)
        if entry.post_only and more > 0 and market.is_tradable(more, entry.price):
            return entry
    return None


def exits_of(orders: Sequence[Order]) -> list[Order]:
    """Return those that close what a cell holds: entries alone are post-only."""
    return [order for order in orders if not order.post_only]
