"""Cancel orders that the exchange no longer lists: until it has confirmed that, they may still rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import RejectedError, UnauthorizedError
from gridbot.model.types import ExchangeOrder, Order
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.trading.listing import Reconciliation

# An exchange may say in words unknown here that an order has ended. One that refuses to cancel it for this
# long, and lists it nowhere, is believed.
REFUSED_FOR_S = 600.0


class Strays:
    """Hold the orders that the store has closed and the exchange has listed all the same."""

    def __init__(self, store: Store, exchange: Exchange) -> None:
        self._store, self._exchange = store, exchange
        self._reopened: dict[int, Order] = {}
        # Since when the exchange refuses to cancel these.
        self._refused_since: dict[int, float] = {}

    def cancel_unlisted(self, result: Reconciliation, now: float) -> None:
        """Cancel those of the passes before that are listed no more. Raises ExchangeError.

        Whoever runs the pass cancels the listed ones, and may have failed; and one list may lack an order.
        """
        self._reopened |= {order.client_id: order for order in result.reopened}
        for client_id, order in list(self._reopened.items()):
            if client_id not in result.listed and (self._has_ended(order) or self._is_cancelled(order, now)):
                del self._reopened[client_id]

    def give_up(
        self, orders: Sequence[Order], accepted: Collection[int], result: Reconciliation, now: float
    ) -> None:
        """Close orders that no list has. Raises ExchangeError.

        One that was accepted, which the client ids `accepted` were without an id, may rest all the same. It
        is cancelled before, and stays live where that fails.
        """
        for order in orders:
            is_named = order.exchange_id is not None
            was_accepted = is_named or order.client_id in accepted
            if was_accepted and not self._is_cancelled(order, now):
                continue
            self._store.close_order(order.client_id, "canceled" if is_named else "absent", "not found")
            result.has_given_up |= was_accepted
            result.unsettled -= 1

    def _has_ended(self, order: Order) -> bool:
        [(_, row)] = self._exchange.find([order])
        return isinstance(row, ExchangeOrder) and not row.open

    def _is_cancelled(self, order: Order, now: float) -> bool:
        """Cancel an order, and tell whether the exchange took that. A key may lack the permission."""
        try:
            self._exchange.cancel(order)
        except UnauthorizedError:
            return False
        except RejectedError as err:
            return self._is_refused_for_long(order, str(err), now)
        self._refused_since.pop(order.client_id, None)
        return True

    def _is_refused_for_long(self, order: Order, why: str, now: float) -> bool:
        if order.client_id not in self._refused_since:
            text = "order %s is in no list of the exchange, which refuses to cancel it: %s"
            log.warning(text, order.exchange_id or order.client_id, why)
        # A clock that was set back begins anew.
        since = min(self._refused_since.get(order.client_id, now), now)
        self._refused_since[order.client_id] = since
        return now - since > REFUSED_FOR_S
