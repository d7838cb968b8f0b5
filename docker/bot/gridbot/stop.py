"""The way out: cancel what is ours, read again until nothing of it is open, and say what is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from gridbot.errors import ExchangeError
from gridbot.exchange import Exchange
from gridbot.log import log
from gridbot.model import Market
from gridbot.store import Store
from gridbot.sync import Synchronizer

# The supervisor kills after 45 s; the report has to be written before.
STOP_WITHIN_S = 38.0
PAUSE_S = (0.05, 0.2, 0.5, 1.0)


def cancel_own(
    store: Store,
    exchange: Exchange,
    market: Market,
    within: float = STOP_WITHIN_S,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, bool]:
    """Cancel every live order of the record. How many are left, and whether the exchange has confirmed that."""
    deadline = time.monotonic() + within
    sync = Synchronizer(store, exchange, market)
    rounds = 0
    while True:
        try:
            outcome = sync.run(time.time())
            orders = [*outcome.stray, *store.live_orders()]
            if not orders:
                return 0, True
            for order in orders:
                if order.exchange_id is not None and time.monotonic() < deadline:
                    _cancel(exchange, order)
        except ExchangeError as err:
            log.warning("cannot confirm that all orders are cancelled: %s", err)
        if time.monotonic() >= deadline:
            return len(store.live_orders()), False
        sleep(PAUSE_S[min(rounds, len(PAUSE_S) - 1)])
        rounds += 1


def _cancel(exchange: Exchange, order: object) -> None:
    from gridbot.model import Order

    assert isinstance(order, Order)
    try:
        exchange.cancel(order)
    except ExchangeError as err:
        log.warning("cannot cancel order %s: %s", order.exchange_id, err)
