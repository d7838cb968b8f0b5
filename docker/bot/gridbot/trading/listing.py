"""Begin a pass of the reconciliation: read which orders are open, and which of them are this bot's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import UnclearError
from gridbot.model.types import ZERO, ExchangeOrder, Fill, LateRefusal, Order, Side, UnreadableOrder
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.trading.missing import trusted


@dataclass
class Reconciliation:
    """Hold the result of one pass.

    `trades` are newly stored fills with their orders and the ledger after each. `reopened` are orders of this
    bot that the store has closed but that are open at the exchange. `has_given_up`: some that no list has any
    more were cancelled and closed. `others` counts the open orders that are not this bot's. `complete` are
    the client ids of live orders that are listed with just what is booked, `ended` those of unsettled orders
    that are no longer open, and `uncertain_slots` the slots of orders whose fill is not known. `refused` are
    orders that were accepted, and have ended by a refusal, `dropped` have ended otherwise, unfilled; this bot
    may have cancelled them. `cancelled` have ended otherwise with something left. `unreadable` are listed
    rows that may be anyone's order: none of this bot's is given up while one of them may be its own, nor
    while one of the `nameless` may, which are not known to be this bot's and bear no client id.
    `unclear`: why there was no list of open orders at all. Then each order is asked for by itself, and none
    that the exchange doesn't find is given up.
    """

    trades: list[tuple[Fill, Order, Ledger]] = field(default_factory=list)
    reopened: list[Order] = field(default_factory=list)
    has_given_up: bool = False
    unsettled: int = 0
    others: int = 0
    foreign_ids: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    refused: list[tuple[Order, LateRefusal]] = field(default_factory=list)
    dropped: list[Order] = field(default_factory=list)
    cancelled: list[Order] = field(default_factory=list)
    uncertain_slots: set[str] = field(default_factory=set)
    listed: dict[int, ExchangeOrder] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)
    missing: list[Order] = field(default_factory=list)
    unreadable: list[UnreadableOrder] = field(default_factory=list)
    nameless: list[ExchangeOrder] = field(default_factory=list)
    unclear: str | None = None

    @property
    def is_clean(self) -> bool:
        """Tell whether it is known which orders of this bot are open, and none is that should not be."""
        is_known = self.unclear is None and not (self.unreadable or self.uncertain_slots)
        return is_known and not (self.reopened or self.has_given_up)

    def may_list(self, order: Order) -> bool:
        """Tell whether `order`, which was not found, may be listed all the same."""
        return (
            self.unclear is not None
            or any(row.may_be(order) for row in self.unreadable)
            or any(row.may_be(order) for row in self.nameless)
        )


def on_the_way(result: Reconciliation, live: Sequence[Order]) -> Mapping[Side, Decimal]:
    """Return how much of `live` may have been filled by now beyond what is booked.

    That is what the list says so of, and all of an order that is in the list no more, or not yet.
    """
    amounts = dict.fromkeys(Side, ZERO)
    for order in live:
        there = result.listed.get(order.client_id)
        if there is None or there.filled is None:
            amounts[order.side] += order.remaining
        else:
            amounts[order.side] += max(there.filled - order.filled, ZERO)
    return amounts


def read_orders(store: Store, exchange: Exchange) -> Reconciliation:
    """Read the open orders, and which live orders are not among them."""
    result = Reconciliation()
    live = {order.client_id: order for order in store.live_orders()}
    try:
        listed = exchange.open_orders()
    except UnclearError as err:
        return Reconciliation(missing=list(live.values()), unclear=str(err))
    confirmed = {order.exchange_id: order for order in live.values() if order.exchange_id is not None}
    seen: set[int] = set()
    for exchange_order in listed:
        if isinstance(exchange_order, UnreadableOrder):
            result.unreadable.append(exchange_order)
            continue
        order = confirmed.get(exchange_order.exchange_id) or store.find_own(exchange_order)
        if order is None:
            result.others += 1
            if exchange_order.client_id is None:
                result.nameless.append(exchange_order)
            else:
                result.foreign_ids.add(exchange_order.client_id)
            continue
        seen.add(order.client_id)
        result.listed[order.client_id] = exchange_order = trusted(order, exchange_order)
        if not order.live:
            # Given up as never accepted, and here it is: its id is needed to cancel it and to know its
            # trades.
            store.set_exchange_id(order.client_id, exchange_order.exchange_id)
            result.reopened.append(replace(order, exchange_id=exchange_order.exchange_id))
            continue
        if exchange_order.filled == order.filled:
            result.complete.add(order.client_id)
        if order.state == "new" or order.exchange_id != exchange_order.exchange_id:
            store.confirm(order.client_id, exchange_order.exchange_id)

    result.missing = [order for order in live.values() if order.client_id not in seen]
    return result
