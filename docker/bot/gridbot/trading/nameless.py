"""Find out whose an execution is that bears no id which this bot knows.

It may be of an order whose answer was lost, where the exchange tells no client ids. Such an order is this
bot's if it has just the terms of one that was sent then, and whose own id is not known. Where the exchange
tells them, an order without one is a person's, whatever its terms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from gridbot.exchanges.exchange import Exchange
from gridbot.model.types import ExchangeOrder, Fill, Order
from gridbot.store.store import Store
from gridbot.trading.listing import Reconciliation

# The exchange's clock may be behind this machine's by more than was measured.
CLOCK_MARGIN_S = 120.0
# An order that was given up may be listed so much later.
LATE_S = 900.0
# Facts of the run: that the exchange tells client ids, and which executions are others'.
IDS_TOLD, OTHERS = "client_ids_are_told", "others_executions"


class Nameless:
    """Look orders up by the exchange's ids of executions, and remember which are others'."""

    def __init__(self, store: Store, exchange: Exchange) -> None:
        self._store, self._exchange = store, exchange
        self._unnamed: list[Order] = []
        # Of executions, by the exchange's id of their order, and this bot's orders that they are not of. A
        # new process would ask for each again, and take one for its own where no list tells ids just then.
        self._others: set[tuple[str, int]] = {
            (exchange_id, client_id) for exchange_id, client_id in json.loads(store.fact(OTHERS) or "[]")
        }
        self._are_ids_told = bool(store.fact(IDS_TOLD))

    def begin(self, fills: Iterable[Fill], result: Reconciliation, now: float) -> None:
        """Begin a pass over new executions: read which orders some of them may be of."""
        has_ids = bool(result.foreign_ids) or any(row.client_id is not None for row in result.listed.values())
        if has_ids and not self._are_ids_told:
            self._are_ids_told = True
            self._store.set_fact(IDS_TOLD, "1")
        is_needed = not self._are_ids_told and any(fill.client_id is None for fill in fills)
        self._unnamed = self._store.unnamed_orders(now - LATE_S) if is_needed else []

    def order_of(self, fill: Fill, result: Reconciliation) -> Order | None:
        """Return this bot's order that `fill` is of. Raises ExchangeError.

        Where the exchange does not tell its order yet, none that it may be of is given up in this pass.
        """
        for order in self._unnamed:
            key = (fill.exchange_id, order.client_id)
            if key in self._others or not self._may_be_of(fill, order):
                continue
            [(_, row)] = self._exchange.find([replace(order, exchange_id=fill.exchange_id)])
            if not isinstance(row, ExchangeOrder):
                unknown = ExchangeOrder(fill.exchange_id, None, fill.side, None, None, None, open=False)
                result.nameless.append(unknown)
            elif row.client_id is None and row.qty == order.qty and order.matches(row):
                self._unnamed.remove(order)
                return order
            else:
                self._note_others(key)
        return None

    def _note_others(self, key: tuple[str, int]) -> None:
        asked = {order.client_id for order in self._unnamed}
        self._others = {key, *(one for one in self._others if one[1] in asked)}
        self._store.set_fact(OTHERS, json.dumps(sorted(self._others)))

    def _may_be_of(self, fill: Fill, order: Order) -> bool:
        is_price_possible = order.market or order.side.sign * (order.price - fill.price) >= 0
        is_after = fill.at >= order.created_at - self._exchange.clock_ahead - CLOCK_MARGIN_S
        is_alike = fill.client_id is None and fill.side is order.side and fill.qty <= order.qty
        return is_alike and is_price_possible and is_after
