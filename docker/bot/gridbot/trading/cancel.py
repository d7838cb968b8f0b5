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
from gridbot.trading.reconcile import Reconciler, Reconciliation

# After a crash something is wrong anyway, and the supervisor waits to start the bot again.
CRASH_WITHIN_S = 10.0
# What ended orders have filled may be listed a little later.
FILLS_WITHIN_S = 5.0
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
    rounds, ended_at = 0, 0.0
    while True:
        try:
            result = reconciler.read_orders()
            failure = _settle(reconciler, result)
            orders = [*result.reopened, *store.live_orders()]
            open_or_unknown = [order for order in orders if order.client_id not in result.ended]
            if not orders and failure is None:
                return 0, True
            if not open_or_unknown and failure is None:
                # Only what they have filled is not known yet. That keeps no stop waiting for long.
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at >= FILLS_WITHIN_S:
                    return 0, True
            _cancel_all(
                exchange, [order for order in open_or_unknown if order.exchange_id is not None], deadline
            )
            if failure is not None:
                raise failure
        except ExchangeError as err:
            log.warning("cannot confirm that all orders are cancelled: %s", err)
            if not store.live_orders():
                return 0, False
        if time.monotonic() >= deadline:
            return len(store.live_orders()), False
        sleep(PAUSE_S[min(rounds, len(PAUSE_S) - 1)])
        rounds += 1


def _settle(reconciler: Reconciler, result: Reconciliation) -> ExchangeError | None:
    """Complete the pass. A history that doesn't answer keeps no order from being cancelled."""
    try:
        reconciler.settle(result, time.time())
    except ExchangeError as err:
        return err
    return None


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
