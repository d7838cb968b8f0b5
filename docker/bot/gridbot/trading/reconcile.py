"""Brings the record and the exchange together: what became of each order, and which trades there were.

Only what the record knows is ours. An order of the exchange is one of ours when its id is in the record, or
when it bears the client id of a recorded order *and* that order's side and price: a client id alone may be
somebody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gridbot.exchanges.exchange import Exchange
from gridbot.model.types import Fill, Market, Order
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store

# Histories are read from this long before the last known trade: exchanges list executions late and out of
# order.
OVERLAP_S = 120.0
# An order the exchange has confirmed once, and that now neither open orders nor history know, is given this
# long.
LOST_AFTER_S = 60.0


@dataclass
class Outcome:
    """`trades`: newly recorded fills, with their orders and the ledger after each. `stray`: orders of ours the record has closed, yet open there."""

    trades: list[tuple[Fill, Order, Ledger]] = field(default_factory=list)
    stray: list[Order] = field(default_factory=list)
    unsettled: int = 0
    foreign_ids: set[int] = field(default_factory=set)


class Synchronizer:
    """Remembers, between passes, since when an order is nowhere to be found."""

    def __init__(self, store: Store, exchange: Exchange, market: Market) -> None:
        self._store, self._exchange, self._market = store, exchange, market
        self._missing_since: dict[int, float] = {}

    def run(self, now: float) -> Outcome:
        """One pass. Raises ExchangeError; what was recorded until then stays recorded."""
        outcome, missing = _read_orders(self._store, self._exchange)
        _read_trades(self._store, self._exchange, self._market, missing, outcome)
        since = self._missing_since
        self._missing_since = {order.client_id: since.get(order.client_id, now) for order in missing}
        self._settle(missing, now, outcome)
        return outcome

    def _settle(self, missing: Sequence[Order], now: float, outcome: Outcome) -> None:
        """Find out what became of orders that are live in the record and not among the open orders."""
        store, asked = self._store, []
        for before in missing:
            order = store.order(before.client_id)
            assert order is not None
            if order.remaining <= 0:
                store.close_order(order.client_id, "filled")
            else:
                asked.append(order)
        outcome.unsettled = len(asked)
        if not asked:
            return
        for order, there in self._exchange.find(asked):
            if there is None or not order.matches(there):
                if self._given_up(order, now):
                    state = "absent" if order.exchange_id is None else "canceled"
                    store.close_order(order.client_id, state, "not found")
                    outcome.unsettled -= 1
                continue
            if order.exchange_id != there.exchange_id or order.state == "new":
                store.confirm(order.client_id, there.exchange_id)
            if there.open or there.filled > order.filled:
                continue  # listed late, or its trades are: the next pass will see them
            store.close_order(order.client_id, "canceled")
            outcome.unsettled -= 1

    def _given_up(self, order: Order, now: float) -> bool:
        """Whether an order that can't be found need not be waited for any more."""
        patience = self._exchange.settle_s
        if patience == 0 or (order.exchange_id is None and now - order.created_at > patience):
            return True
        return now - self._missing_since[order.client_id] > LOST_AFTER_S


def _read_orders(store: Store, exchange: Exchange) -> tuple[Outcome, list[Order]]:
    """What the open orders tell, and the live orders that are not among them."""
    outcome = Outcome()
    listed = exchange.open_orders()
    live = {order.client_id: order for order in store.live_orders()}
    seen: set[int] = set()
    for there in listed:
        order = store.find_own(there)
        if order is None:
            if there.client_id is not None:
                outcome.foreign_ids.add(there.client_id)
            continue
        seen.add(order.client_id)
        if not order.live:
            # Given up as never accepted, and here it is: its id is needed to cancel it and to know its
            # trades.
            store.set_exchange_id(order.client_id, there.exchange_id)
            outcome.stray.append(replace(order, exchange_id=there.exchange_id))
        elif order.state == "new" or order.exchange_id != there.exchange_id:
            store.confirm(order.client_id, there.exchange_id)

    return outcome, [order for order in live.values() if order.client_id not in seen]


def _read_trades(
    store: Store, exchange: Exchange, market: Market, missing: Sequence[Order], outcome: Outcome
) -> None:
    last = store.last_trade_time()
    starts = [order.created_at for order in missing] + ([last] if last is not None else [])
    if not starts:
        starts = [order.created_at for order in store.live_orders()]
    if not starts:
        return
    for fill in sorted(exchange.fills(min(starts) - OVERLAP_S), key=lambda fill: fill.at):
        order = store.order_by_exchange_id(fill.exchange_id)
        if order is None and fill.client_id is not None:
            candidate = store.order(fill.client_id)
            if candidate is not None and candidate.exchange_id is None and candidate.side is fill.side:
                order = candidate
                store.set_exchange_id(order.client_id, fill.exchange_id)
        if order is not None and store.add_trade(fill, order, market):
            outcome.trades.append((fill, order, store.ledger))
