"""Match the stored orders and trades with the exchange's.

An order of the exchange belongs to this bot when its id is stored, or when it has the client id of a stored
order *and* that order's side and price. The client id alone is not enough, because another program may use
the same number.
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
class Reconciliation:
    """Hold the result of one pass.

    `trades` are newly stored fills with their orders and the ledger after each. `reopened` are orders of this
    bot that the store has closed but that are open at the exchange. `others` counts the open orders that are
    not this bot's.
    """

    trades: list[tuple[Fill, Order, Ledger]] = field(default_factory=list)
    reopened: list[Order] = field(default_factory=list)
    unsettled: int = 0
    others: int = 0
    foreign_ids: set[int] = field(default_factory=set)


class Reconciler:
    """Reconcile in passes, and remember between them since when an order is missing."""

    def __init__(self, store: Store, exchange: Exchange, market: Market) -> None:
        self._store, self._exchange, self._market = store, exchange, market
        self._missing_since: dict[int, float] = {}

    def run(self, now: float) -> Reconciliation:
        """Run one pass. Raises ExchangeError; what was stored before stays stored."""
        result, missing = _read_orders(self._store, self._exchange)
        _read_trades(self._store, self._exchange, self._market, missing, result)
        since = self._missing_since
        self._missing_since = {order.client_id: since.get(order.client_id, now) for order in missing}
        self._settle(missing, now, result)
        return result

    def _settle(self, missing: Sequence[Order], now: float, result: Reconciliation) -> None:
        """Close or confirm orders that are live in the store but not among the open orders."""
        store, unknown = self._store, []
        for before in missing:
            order = store.order(before.client_id)
            assert order is not None
            if order.remaining <= 0:
                store.close_order(order.client_id, "filled")
            else:
                unknown.append(order)
        result.unsettled = len(unknown)
        if not unknown:
            return
        for order, exchange_order in self._exchange.find(unknown):
            if exchange_order is None or not order.matches(exchange_order):
                if self._is_lost(order, now):
                    state = "absent" if order.exchange_id is None else "canceled"
                    store.close_order(order.client_id, state, "not found")
                    result.unsettled -= 1
                continue
            if order.exchange_id != exchange_order.exchange_id or order.state == "new":
                store.confirm(order.client_id, exchange_order.exchange_id)
            if exchange_order.open or exchange_order.filled > order.filled:
                continue  # listed late, or its trades are: the next pass will see them
            store.close_order(order.client_id, "canceled")
            result.unsettled -= 1

    def _is_lost(self, order: Order, now: float) -> bool:
        """Tell whether an order that the exchange doesn't list is not waited for any more."""
        patience = self._exchange.settle_s
        if patience == 0 or (order.exchange_id is None and now - order.created_at > patience):
            return True
        return now - self._missing_since[order.client_id] > LOST_AFTER_S


def _read_orders(store: Store, exchange: Exchange) -> tuple[Reconciliation, list[Order]]:
    """Read the open orders. Return a result, and the live orders that are not among them."""
    result = Reconciliation()
    listed = exchange.open_orders()
    live = {order.client_id: order for order in store.live_orders()}
    seen: set[int] = set()
    for exchange_order in listed:
        order = store.find_own(exchange_order)
        if order is None:
            result.others += 1
            if exchange_order.client_id is not None:
                result.foreign_ids.add(exchange_order.client_id)
            continue
        seen.add(order.client_id)
        if not order.live:
            # Given up as never accepted, and here it is: its id is needed to cancel it and to know its
            # trades.
            store.set_exchange_id(order.client_id, exchange_order.exchange_id)
            result.reopened.append(replace(order, exchange_id=exchange_order.exchange_id))
        elif order.state == "new" or order.exchange_id != exchange_order.exchange_id:
            store.confirm(order.client_id, exchange_order.exchange_id)

    return result, [order for order in live.values() if order.client_id not in seen]


def _read_trades(
    store: Store, exchange: Exchange, market: Market, missing: Sequence[Order], result: Reconciliation
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
            result.trades.append((fill, order, store.ledger))
