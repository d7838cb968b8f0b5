"""Remember for a moment what was cancelled: an exchange may list its fill after it said that there was none.

Orders that a bot had cancelled were answered and listed as such with nothing filled, and a fill was listed up
to 7 s later.
Until then it counts against max_position as if it rested. It keeps no slot, and nothing is cancelled for it:
only where the bot is at its bound the next order waits.
"""

from __future__ import annotations

import time

from gridbot.model.types import Order
from gridbot.store.store import Store

# Longer than such fills were seen to be late; one for all exchanges, as none says how late they may be.
LATE_FILL_S = 10.0


class LateFills:
    """Hold which orders have ended just now with something left, also those of the process before."""

    def __init__(self, store: Store, settle_s: float) -> None:
        """Take how long the exchange may need to list something: where it needs no time, all is listed."""
        self._store, self._settle_s = store, settle_s
        self._ended: dict[int, float] | None = None

    def note(self, order: Order, now: float) -> None:
        """Take down that an order has ended with something left."""
        if self._settle_s > 0:
            self._known(now)[order.client_id] = now

    def orders(self, now: float) -> list[Order]:
        """Return the orders that may have been filled, with what is left of them."""
        ended = self._known(now)
        for client_id, at in list(ended.items()):
            if not 0 <= now - at < LATE_FILL_S:  # the clock may be set back
                del ended[client_id]
        orders = [self._store.order(client_id) for client_id in ended]
        return [order for order in orders if order is not None and order.remaining > 0]

    def _known(self, now: float) -> dict[int, float]:
        if self._ended is None:
            orders = self._store.cancelled_since(time.time() - LATE_FILL_S) if self._settle_s > 0 else []
            self._ended = dict.fromkeys((order.client_id for order in orders), now)
        return self._ended
