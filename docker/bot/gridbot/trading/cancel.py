"""Cancel this bot's orders before the exit, until the exchange lists none of them.

Many bots stop at the same time and share one address, so this is done with few calls, and an exchange that
refuses some is left alone for as long as it asks: going on leads to a ban, and then no bot's orders can be
cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import NamedTuple, TypeVar

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import THROTTLED, ExchangeError, NotFoundError, RejectedError, UnauthorizedError
from gridbot.model.types import Market, Order
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.trading.listing import Reconciliation
from gridbot.trading.reconcile import Reconciler
from gridbot.trading.retry import RetryPauses

# After a crash something is wrong anyway, and the supervisor waits to start the bot again.
CRASH_WITHIN_S = 10.0
# What ended orders have filled may be listed a little later.
FILLS_WITHIN_S = 5.0
PAUSE_S = (0.05, 0.2, 0.5, 1.0)
# Between attempts at an exchange that refuses; what it asks for comes on top.
REFUSED_FIRST_S = 1.0
REFUSED_CAP_S = 15.0
# The same where an exchange does not answer, or no call succeeds, after the pauses above: it may be back any
# moment, and whoever waits for a stop waits for this.
FAILED_FIRST_S = 2.0
FAILED_CAP_S = 5.0
# A batch that fails as often as this is given up for single calls: the exchange may not have it any more.
MOST_FAILED_BATCHES = 2

Answer = TypeVar("Answer")


def cancel_own_orders(
    store: Store,
    exchange: Exchange,
    market: Market,
    within: float,
    sleep: Callable[[float], None] = time.sleep,
    *,
    is_exclusive: bool = False,
) -> tuple[int, bool]:
    """Cancel all live orders. Return how many are left, and whether the exchange confirmed that count.

    `is_exclusive`: no other bot is on the account. Then all orders of the market may be cancelled with one
    call, if the exchange lists none but this bot's.
    """
    deadline = time.monotonic() + within
    exchange.shorten_timeouts()
    sender, pauses = _Sender(exchange, deadline), RetryPauses(REFUSED_FIRST_S, REFUSED_CAP_S)
    failed_pauses = RetryPauses(FAILED_FIRST_S, FAILED_CAP_S)
    canceller = _Canceller(store, Reconciler(store, exchange, market), sender, is_exclusive=is_exclusive)
    rounds = 0
    while True:
        refusal: ExchangeError | None = None
        has_failed = False
        try:
            is_confirmed, refusal, failure = canceller.go_round()
            if is_confirmed is not None:
                return 0, is_confirmed
            if failure is not None:
                raise failure
        except ExchangeError as err:
            log.warning("cannot confirm that all orders are cancelled: %s", err)
            if not canceller.left:
                return 0, False
            has_failed, refusal = True, err if _is_refusal(err) else refusal
        pause = PAUSE_S[min(rounds, len(PAUSE_S) - 1)]
        if refusal is not None:
            if refusal.cause in THROTTLED:
                exchange.slow_down()
            pause = pauses.after(refusal)
        elif rounds >= len(PAUSE_S) and (has_failed or sender.was_in_vain):
            pause = failed_pauses.next()
        if time.monotonic() + (pause if refusal is not None else 0.0) >= deadline:
            return canceller.left, False
        sleep(pause)
        rounds += 1


def ask_patiently(
    call: Callable[[], Answer], within: float, sleep: Callable[[float], None] = time.sleep
) -> Answer:
    """Return the answer of `call`, with pauses while the exchange refuses it. Raises ExchangeError."""
    deadline = time.monotonic() + within
    pauses = RetryPauses(REFUSED_FIRST_S, REFUSED_CAP_S)
    while True:
        try:
            return call()
        except ExchangeError as err:
            pause = pauses.after(err)
            if err.cause not in THROTTLED or time.monotonic() + pause >= deadline:
                raise
        sleep(pause)


def _is_refusal(err: ExchangeError) -> bool:
    """Tell whether the exchange refuses calls, this bot's or any: asking again at once changes nothing."""
    return err.cause in THROTTLED or isinstance(err, UnauthorizedError)


def _settle(reconciler: Reconciler, result: Reconciliation) -> ExchangeError | None:
    """Complete the pass. A history that doesn't answer keeps no order from being cancelled."""
    try:
        reconciler.settle(result, time.time())
    except ExchangeError as err:
        return err
    return None


class _Round(NamedTuple):
    """Hold what one round has brought.

    `is_confirmed`: whether the exchange has confirmed that no order is left; None while any may be.
    `refusal`: why it refuses calls. `failure`: why the history could not be read.
    """

    is_confirmed: bool | None = None
    refusal: ExchangeError | None = None
    failure: ExchangeError | None = None


class _Canceller:
    """Cancel what rests, round by round, and know when nothing does any more."""

    def __init__(self, store: Store, reconciler: Reconciler, sender: _Sender, *, is_exclusive: bool) -> None:
        self._store, self._reconciler, self._sender = store, reconciler, sender
        self._is_exclusive = is_exclusive
        self._ended_at = 0.0
        # Client ids of orders that the store has closed, and the exchange listed when it was asked last.
        self._reopened: set[int] = set()

    @property
    def left(self) -> int:
        """Return how many orders may rest: what the store has closed is left while the exchange lists it."""
        return len({order.client_id for order in self._store.live_orders()} | self._reopened)

    def go_round(self) -> _Round:
        """Cancel what is listed, settle, and cancel what was not. Raises ExchangeError."""
        result = self._reconciler.read_orders()
        if result.unclear is None:
            self._reopened = {order.client_id for order in result.reopened}
        # First of all what is known to rest: the history, which comes next, may take many calls.
        listed = [order for order in self._store.live_orders() if order.client_id in result.listed]
        refusal = self._sender.cancel(
            [*result.reopened, *listed],
            everything=self._is_exclusive and not (result.others or result.unreadable or result.unclear),
        )
        if refusal is not None:
            return _Round(refusal=refusal)
        failure = _settle(self._reconciler, result)
        orders = [*result.reopened, *self._store.live_orders()]
        open_or_unknown = [order for order in orders if order.client_id not in result.ended]
        if failure is None and self._is_over(orders, open_or_unknown, result):
            return _Round(is_confirmed=not (result.unreadable or result.unclear))
        unlisted = [order for order in open_or_unknown if order.client_id not in result.listed]
        refusal = self._sender.cancel(
            [order for order in unlisted if order.exchange_id is not None], everything=False
        )
        return _Round(refusal=refusal, failure=failure)

    def _is_over(
        self, orders: Sequence[Order], open_or_unknown: Sequence[Order], result: Reconciliation
    ) -> bool:
        """Tell whether nothing is waited for: no order is left, or for a while just fills of ended ones."""
        if not orders and result.unclear is None:
            return True
        if open_or_unknown:
            return False
        # Only what they have filled is not known yet, or the list that would confirm it does not come.
        # Neither keeps a stop waiting for long.
        self._ended_at = self._ended_at or time.monotonic()
        return time.monotonic() - self._ended_at >= FILLS_WITHIN_S


class _Sender:
    """Send cancellations with as few calls as the exchange allows."""

    def __init__(self, exchange: Exchange, deadline: float) -> None:
        self._exchange, self._deadline = exchange, deadline
        self._failed_batches = 0
        self._refused, self._was_refused = Event(), False
        self._refusal: ExchangeError | None = None
        self._sent = self._failed = 0

    @property
    def was_in_vain(self) -> bool:
        """Tell whether every call has failed, when there was something to cancel last."""
        return 0 < self._sent == self._failed

    def cancel(self, orders: Sequence[Order], *, everything: bool) -> ExchangeError | None:
        """Cancel `orders`, which are all of the market if `everything`.

        Return why the exchange refuses calls, None if it does not. No other failure matters: what is still
        listed afterwards is cancelled again.
        """
        self._refused.clear()
        self._refusal = None
        if not orders:
            return None
        self._sent = self._failed = 0
        size = self._exchange.most_in_batch if self._failed_batches < MOST_FAILED_BATCHES else 1
        is_done = (
            everything
            and self._exchange.has_cancel_all
            and len(orders) > size
            and (self._succeeds("all orders", self._exchange.cancel_all) or self._refused.is_set())
        )
        if is_done:
            return self._refusal
        self._send([orders[i : i + size] for i in range(0, len(orders), size)])
        return self._refusal

    def _send(self, parts: Sequence[Sequence[Order]]) -> None:
        """Send in parallel where the exchange allows it, because 199 calls in a row take too long.

        Not after a refusal: each of the calls under way would be one more.
        """
        channels = self._exchange.channels(1 if self._was_refused else len(parts))
        if len(channels) == 1:
            self._send_in_turn(channels[0], parts)
            return
        with ThreadPoolExecutor(len(channels)) as pool:
            shares = [parts[i :: len(channels)] for i in range(len(channels))]
            list(pool.map(self._send_in_turn, channels, shares))

    def _send_in_turn(self, channel: Exchange, parts: Sequence[Sequence[Order]]) -> None:
        for part in parts:
            singles: Sequence[Order] = part
            if len(part) > 1 and not self._is_over():
                singles = part if self._is_batch_rejected(channel, part) else ()
            for order in singles:
                if self._is_over():
                    return
                self._succeeds(f"order {order.exchange_id}", partial(channel.cancel, order))

    def _is_batch_rejected(self, channel: Exchange, part: Sequence[Order]) -> bool:
        """Cancel them with one call, and tell whether the exchange has refused to do that."""
        self._sent += 1
        try:
            channel.cancel_batch(part)
        except UnauthorizedError as err:
            self._note(f"{len(part)} orders", err)
        except RejectedError as err:
            self._failed += 1
            log.warning("cannot cancel %d orders with one call: %s", len(part), err)
            self._failed_batches = MOST_FAILED_BATCHES
            return True
        except ExchangeError as err:
            self._note(f"{len(part)} orders", err)
            self._failed_batches += not self._refused.is_set()
        return False

    def _succeeds(self, action: str, call: Callable[[], None]) -> bool:
        self._sent += 1
        try:
            call()
        except ExchangeError as err:
            self._note(action, err)
            return False
        return True

    def _note(self, action: str, err: ExchangeError) -> None:
        log.warning("cannot cancel %s: %s", action, err)
        self._failed += not isinstance(err, NotFoundError)
        if _is_refusal(err):
            self._refusal = err
            self._was_refused = True
            self._refused.set()

    def _is_over(self) -> bool:
        return self._refused.is_set() or time.monotonic() >= self._deadline
