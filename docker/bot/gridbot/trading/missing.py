"""Remember since when an order is in no list of the exchange: lists are late, and one may be old."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gridbot.exchanges.exchange import Exchange
from gridbot.model.types import ExchangeOrder, Order, UnreadableOrder
from gridbot.store.store import Store

# An order the exchange has confirmed once, and that now neither open orders nor history know, is given this
# long.
LOST_AFTER_S = 60.0
# The fact of the run under which is stored since when orders are missing.
MISSING = "missing_since"


def trusted(order: Order, row: ExchangeOrder) -> ExchangeOrder:
    """Return an order's row; of another quantity than was sent, it does not say what was filled."""
    return row if row.qty in (None, order.qty) else replace(row, filled=None)


def find_missing(
    store: Store, exchange: Exchange, orders: Sequence[Order]
) -> Iterator[tuple[Order, ExchangeOrder | UnreadableOrder | None]]:
    """Yield each order with what the exchange knows of it, as `Exchange.find` does.

    It may know none by the id that it has answered, and have the order under another one.
    """
    lacking = []
    for order, row in exchange.find(orders):
        if row is None and order.exchange_id is not None:
            lacking.append(order)
        else:
            yield order, trusted(order, row) if isinstance(row, ExchangeOrder) else row
    if not lacking:
        return
    by_client_id = {order.client_id: order for order in lacking}
    # Together: one list may tell of them all.
    for asked, namesake in exchange.find([replace(order, exchange_id=None) for order in lacking]):
        order = by_client_id[asked.client_id]
        if isinstance(namesake, UnreadableOrder):  # its own row, which tells too little, is not none
            is_its_row = namesake.exchange_id is not None and namesake.client_id == order.client_id
            yield order, namesake if is_its_row else None
            continue
        is_own = (
            namesake is not None
            and namesake.client_id == order.client_id
            and namesake.qty in (None, order.qty)
            and order.matches(namesake)
            and not store.has_exchange_id(namesake.exchange_id)
        )
        yield order, namesake if is_own else None


class MissingOrders:
    """Hold the orders that the last pass missed, and since when.

    Times are kept by client id, also of the processes before: a bot that is started again and again waits
    once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = _load_times(store.fact(MISSING))
        self._stored = dict(self._since)
        # Orders of unknown outcome that a pass missed when they could arrive no more: a list may be old.
        self._missed_once: set[int] = set()
        self._was_unclear = False

    def note(self, orders: Sequence[Order], now: float, *, is_unclear: bool) -> None:
        """Take these for the missing ones. `is_unclear`: the exchange does not say which orders are open."""
        # What was missing while there was no list may have rested all the time.
        since = {} if self._was_unclear and not is_unclear else self._since
        self._was_unclear = is_unclear
        # A time that is ahead of this clock, which was set back, would be waited for.
        self._since = {order.client_id: min(since.get(order.client_id, now), now) for order in orders}

    def save(self) -> None:
        """Store since when orders are missing, where they still are: most are filled, and closed at once."""
        live = {order.client_id for order in self._store.live_orders()} if self._since else set()
        missing = {key: at for key, at in self._since.items() if key in live}
        if missing != self._stored:
            self._store.set_fact(MISSING, json.dumps(missing))
            self._stored = missing

    def is_long(self, order: Order, now: float) -> bool:
        """Tell whether one has been missing for longer than a list is late. A clock set back begins anew."""
        since = self._since[order.client_id] = min(self._since[order.client_id], now)
        return now - since > LOST_AFTER_S

    def is_missed_again(self, order: Order) -> bool:
        """Tell whether one that can arrive no more was asked for before."""
        was_missed = order.client_id in self._missed_once
        self._missed_once.add(order.client_id)
        return was_missed


def _load_times(stored: str | None) -> dict[int, float]:
    return {int(key): float(at) for key, at in json.loads(stored or "{}").items()}
