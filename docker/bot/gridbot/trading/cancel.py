"""Cancel this bot's orders before the exit, until the exchange lists none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import ExchangeError
from gridbot.model.types import Market, Order
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.trading.reconcile import Reconciler

# After a crash something is wrong anyway, and the supervisor waits to start the bot again.
CRASH_WITHIN_S = 10.0
PAUSE_S = (0.05, 0.2, 0.5, 1.0)


def cancel_own_orders(
    store: Store,
    exchange: Exchange,
    market: Market,
    within: float,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, bool]:
    """Cancel all live orders. Return how many are left, and whether the exchange confirmed that count."""
    deadline = time.monotonic() + within
    exchange.shorten_timeouts()
    reconciler = Reconciler(store, exchange, market)
    rounds = 0
    while True:
        try:
            result = reconciler.run(time.time())
            orders = [*result.reopened, *store.live_orders()]
            if not orders:
                return 0, True
            _cancel_all(exchange, [order for order in orders if order.exchange_id is not None], deadline)
        except ExchangeError as err:
            log.warning("cannot confirm that all orders are cancelled: %s", err)
            if not store.live_orders():
                return 0, False
        if time.monotonic() >= deadline:
            return len(store.live_orders()), False
        sleep(PAUSE_S[min(rounds, len(PAUSE_S) - 1)])
        rounds += 1


def _cancel_all(exchange: Exchange, orders: list[Order], deadline: float) -> None:
    """Cancel in parallel where the exchange allows it, because 199 calls in a row take too long."""
    channels = exchange.channels(len(orders))
    parts = [orders[i :: len(channels)] for i in range(len(channels))]

    def cancel(channel: Exchange, part: list[Order]) -> None:
        for order in part:
            if time.monotonic() >= deadline:
                return
            try:
                channel.cancel(order)
            except ExchangeError as err:
                log.warning("cannot cancel order %s: %s", order.exchange_id, err)

    if len(channels) == 1:
        cancel(channels[0], orders)
        return
    with ThreadPoolExecutor(len(channels)) as pool:
        list(pool.map(cancel, channels, parts))
