"""Cancel what no list has any more, or has no more: until the exchange has answered, it may rest."""

from __future__ import annotations

from collections.abc import Sequence

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import UnauthorizedError
from gridbot.model.types import ExchangeOrder, Order
from gridbot.store.store import Store
from gridbot.trading.listing import Reconciliation


class Strays:
    """Hold the orders that the store has closed and the exchange has listed all the same."""

    def __init__(self, store: Store, exchange: Exchange) -> None:
        self._store, self._exchange = store, exchange
        self._reopened: dict[int, Order] = {}

    def cancel_unlisted(self, result: Reconciliation) -> None:
        """Cancel those of the passes before that are listed no more. Raises ExchangeError.

        Whoever runs the pass cancels the listed ones, and may have failed; and one list may lack an order.
        """
        self._reopened |= {order.client_id: order for order in result.reopened}
        for client_id, order in list(self._reopened.items()):
            if client_id not in result.listed and (self._has_ended(order) or self._is_cancelled(order)):
                del self._reopened[client_id]

    def give_up(self, orders: Sequence[Order], result: Reconciliation) -> None:
        """Close orders that no list has. Raises ExchangeError.

        One that was accepted may rest all the same. It is cancelled before, and stays live where that fails.
        """
        for order in orders:
            was_accepted = order.exchange_id is not None
            if was_accepted and not self._is_cancelled(order):
                continue
            self._store.close_order(order.client_id, "canceled" if was_accepted else "absent", "not found")
            result.has_given_up |= was_accepted
            result.unsettled -= 1

    def _has_ended(self, order: Order) -> bool:
        [(_, row)] = self._exchange.find([order])
        return isinstance(row, ExchangeOrder) and not row.open

    def _is_cancelled(self, order: Order) -> bool:
        """Cancel an order, and tell whether the exchange took that. A key may lack the permission."""
        try:
            self._exchange.cancel(order)
        except UnauthorizedError:
            return False
        return True
