"""Send orders and cancellations, and wait with what the exchange has just refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import RejectedError, UnauthorizedError, UnclearError
from gridbot.model.types import Order, OrderRequest, as_text
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.trading.late_fills import LateFills
from gridbot.trading.listing import Reconciliation
from gridbot.trading.refusals import Refusals

# Pauses after the first, second, … rejection of an order in one slot.
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
# How often in a row the exchange may end an order of a slot unfilled, without a reason that is known to be a
# refusal: the price moves onto a level, or a person cancels an order. After that it counts as a refusal.
MOST_DROPPED = 3


@dataclass
class _Backoff:
    """Hold until when a slot waits. `is_late`: since an order that had been accepted first."""

    times: int = 0
    until: float = 0.0
    is_late: bool = False

    def lasts(self, now: float) -> bool:
        """Tell whether the pause goes on. An end that is too far ahead is ignored: the clock was set back."""
        return self.until - BACKOFF_S[-1] <= now < self.until


class Placing:
    """Send this bot's orders. `refusals` is what the exchange has refused of them.

    `foreign_ids` are client ids that other programs use; `latency` is how long the last accepted order took,
    in seconds.
    """

    def __init__(
        self,
        store: Store,
        exchange: Exchange,
        retry_cap: float,
        clock: Callable[[], float],
        on_call: Callable[[], None],
        on_unnamed: Callable[[int], None],
    ) -> None:
        """Take `on_call`, which is told after each call that the loop goes on.

        `on_unnamed` is told the client id of an order that was accepted without an id of the exchange's.
        """
        self._store, self._exchange = store, exchange
        self._clock, self._on_call, self._on_unnamed = clock, on_call, on_unnamed
        self._backoff: dict[str, _Backoff] = {}
        self._cancelled: set[int] = set()
        self.late = LateFills(store, exchange.settle_s)
        # Live orders that were sent on a word.
        self._on_word: set[int] = set()
        self._sent_since: set[int] = set()  # the last late refusal: by number, as the clock may be set back
        self.refusals = Refusals(retry_cap)
        self.foreign_ids: Collection[int] = set()
        self.latency: float | None = None

    def count_refused(self) -> int:
        """Return how many slots were refused an order more than once in a row."""
        return sum(backoff.times > 1 for backoff in self._backoff.values())

    def worth_trying(self, requests: Sequence[OrderRequest], now: float) -> list[OrderRequest]:
        """Return which of `requests` to send while the exchange refuses every order.

        Those are the ones of slots that it has refused nothing of, such as what closes a position, and after
        each pause one more, in turn: what is refused may be a single level.
        """
        untried = [request for request in requests if request.slot not in self._backoff]
        refused = [request for request in requests if request.slot in self._backoff]
        if refused and self.refusals.allows_attempt(now):
            untried.append(min(refused, key=lambda request: self._backoff[request.slot].times))
        return untried

    def place(
        self, request: OrderRequest, now: float, cause: tuple[int, Decimal] | None = None
    ) -> list[Order]:
        """Store and send an order. Return it, and none where its slot waits or the exchange refuses it.

        `cause`: the order, and how much of it, that was told to be filled. Such an order never takes: what a
        word that is not true brings about stays one that rests, until it is cancelled. And it may be refused
        because the fill is not booked at the exchange yet, so that a refusal counts as none.
        """
        backoff = self._backoff.get(request.slot)
        if backoff and backoff.lasts(now) and not self.refusals.is_active:
            return []
        limit = self._exchange.max_client_id
        order = self._store.new_order(request, self._clock(), self.foreign_ids, limit, cause)
        if self.refusals.is_late:
            self._sent_since.add(order.client_id)
        if cause is not None:
            self._on_word.add(order.client_id)
        began = time.monotonic()
        try:
            exchange_id = self._exchange.place(order if cause is None else replace(order, post_only=True))
            if exchange_id is not None and self._store.has_exchange_id(exchange_id):
                raise UnclearError(f"a new order was answered with the id of another one, {exchange_id}")
            self.latency = time.monotonic() - began
        except RejectedError as err:
            self._store.close_order(order.client_id, "rejected", str(err))
            if cause is not None:
                log.info("%s is tried again when the fill before it is read: %s", request.slot, err)
                return []
            self.refusals.record(err, now)
            self._rejected(order, str(err), now)
            return []
        finally:
            self._on_call()
        if exchange_id is None:
            self._on_unnamed(order.client_id)
        else:
            self._store.confirm(order.client_id, exchange_id)
        if not self.refusals.is_late:
            self._accepted([order])
        return [order]

    def note_refused(self, result: Reconciliation, now: float) -> None:
        """Take down which accepted orders the exchange has refused after all.

        After such a refusal only an order that rests in the book, or was filled, is an accepted one. That of
        an order that was sent on a word counts as none, as it does at once (`place`).
        """
        for order in result.cancelled:
            if order.client_id in self._cancelled:
                self.late.note(order, now)
        for order, refusal in result.refused:
            if order.client_id not in self._on_word:
                self._record_late(RejectedError(refusal.text, cause=refusal.cause), now)
                self._rejected(order, refusal.text, now, is_late=True)
        for order in result.dropped:
            if order.client_id not in self._on_word:
                self._note_dropped(order, now)
        late = {slot for slot, backoff in self._backoff.items() if backoff.is_late}
        if self.refusals.is_late or late or self._cancelled or self._on_word:
            live = self._store.live_orders()
            live_ids = {order.client_id for order in live}
            self._cancelled &= live_ids
            self._on_word &= live_ids
            standing = [order for order in live if order.client_id in result.listed]
            standing += [order for _fill, order, _ledger in result.trades]
            for order in standing:
                if order.slot in late:  # what was refused there is no longer live
                    self._backoff.pop(order.slot)
                    late.remove(order.slot)
            if self.refusals.is_late and (
                newer := [order for order in standing if order.client_id in self._sent_since]
            ):
                self._accepted(newer)

    def _note_dropped(self, order: Order, now: float) -> None:
        """Take down that the exchange has ended an order that nobody was seen to cancel."""
        if order.client_id in self._cancelled:
            return
        text = "the exchange has ended the order, unfilled and without this bot's asking"
        if order.market:
            # The book may give something any moment: the next tick tries again, but a person has to know.
            self._record_late(RejectedError(text), now)
            self._report(order, text, now)
            return
        backoff = self._rejected(order, text, now, is_late=True)
        if backoff.times > MOST_DROPPED:
            self._record_late(RejectedError(text), now)

    def _record_late(self, err: RejectedError, now: float) -> None:
        self.refusals.record(err, now, is_late=True)
        self._sent_since.clear()

    def _accepted(self, orders: Sequence[Order]) -> None:
        if self.refusals.is_active:
            log.info("the exchange accepts orders again")
            self._backoff.clear()
        self.refusals.clear()
        for order in orders:
            if order.slot in self._backoff and not self._backoff[order.slot].is_late:
                self._backoff.pop(order.slot)

    def _rejected(self, order: Order, why: str, now: float, *, is_late: bool = False) -> _Backoff:
        backoff = self._backoff.setdefault(order.slot, _Backoff())
        backoff.until = now + BACKOFF_S[min(backoff.times, len(BACKOFF_S) - 1)]
        backoff.times += 1
        backoff.is_late = is_late
        if order.post_only and backoff.times == 1:
            return backoff  # the price moved onto the level meanwhile; the next try usually works
        self._report(order, why, now)
        return backoff

    def _report(self, order: Order, why: str, now: float) -> None:
        log.warning(
            "rejected %s %s @ %s: %s", order.side.upper(), as_text(order.qty), as_text(order.price), why
        )
        self._store.samples.add_error(now, "rejected", why)

    def has_cancelled(self, order: Order) -> bool:
        """Tell whether the exchange was asked to cancel this live order."""
        return order.client_id in self._cancelled

    def cancel(self, order: Order, now: float) -> None:
        """Cancel an open order of this bot."""
        is_first = order.client_id not in self._cancelled
        self._cancelled.add(order.client_id)
        try:
            self._exchange.cancel(order)
        except UnauthorizedError as err:
            # This tick's reads were accepted, so the key is good and only lacks the permission.
            self.refusals.record(err, now)
        except RejectedError as err:
            # While it is listed it is cancelled again.
            if is_first:
                log.warning("cannot cancel order %s: %s", order.exchange_id, err)
        finally:
            self._on_call()
