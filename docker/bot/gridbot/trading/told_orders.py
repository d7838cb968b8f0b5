"""Send the counter order of a fill that only the websocket tells of, and take it back where that is not true.

The question what was traded costs a whole round trip before each counter order. So the order is sent first,
and the question right after it: what the socket tells is never booked, ledger, fees and position come from
the exchange's lists alone. Until these say the same, the bot holds two possible truths, and the order has to
be right in both:

- The word has to name an order that this bot knows to rest: by both ids, price, quantity and, where that is
  said, side, and more of it than is booked. What comes twice, late, out of order or of another program's
  order names none.
- The order takes no slot of a live order, the told one's included, and there has to be room for it beside all
  of them (`grid.counter_orders`): no level is doubled and max_position holds, whatever is true.
- It never takes (`Placing.place`), so a word that is not true brings about an order that rests at its level.
- It is one of the record like any other, and its row names its cause. A bot that is killed at any moment
  finds it at its next start, cancels it where the lists say otherwise, and a stop cancels it.

The lists deny a word when they show its order open with less than was told (`STALE_S` after it, as a list may
be older than the question), when the order has ended with less, or when nothing has confirmed it for
`BELIEVED_FOR_S`. The orders that were sent on it are cancelled then, nothing is placed until they are gone
(condition `ledger_differs`), the account's position is compared, and until its next start the bot looks
before it orders. A word that was denied by mistake costs time only: its fill is booked when it is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.model.condition import Code, Condition
from gridbot.model.types import ZERO, Order, OrderRequest, Side, SpotCoins, ToldFill, as_text
from gridbot.runtime.log import log
from gridbot.store.store import Store
from gridbot.strategies.strategy import Strategy
from gridbot.trading.listing import Reconciliation
from gridbot.trading.placing import Placing

# An answer may be from a copy of the exchange's lists that is so much behind what its socket tells.
STALE_S = 2.0
# Longer than an ended order's fills are waited for (missing.LOST_AFTER_S): then its own total is booked.
BELIEVED_FOR_S = 90.0


@dataclass(frozen=True, slots=True)
class _Word:
    """Hold that an order was told to have filled so much, and since when this process goes by it."""

    client_id: int
    filled: Decimal
    since: float


class ToldOrders:
    """Hold the orders that were sent on a word, until the exchange's lists say whether it is true."""

    def __init__(self, store: Store, coins: Callable[[], SpotCoins | None]) -> None:
        """Take `coins`, which tells what is known of a spot account's."""
        self._store, self._coins = store, coins
        self._pending: dict[int, _Word] = {}
        # Orders whose word is true, and live ones whose word is not.
        self._proven: set[int] = set()
        self._denied: set[int] = set()
        # How much of live orders was told that was acted on, be it that the exchange refused the order: a
        # word that is repeated for ever asks for one order.
        self._tried: dict[int, Decimal] = {}
        # Whether the record may have an order with a cause that is not noted here: at first the process
        # before's, then one whose answer was lost.
        self._may_be_new = True
        self.is_distrusted = False
        self.condition: Condition | None = None

    @property
    def awaits_proof(self) -> bool:
        """Tell whether an order was sent on a word that is not confirmed, or is still to be taken back."""
        return bool(self._pending or self._denied)

    def called_for(
        self, words: Sequence[ToldFill], strategy: Strategy, placing: Placing, clock: Callable[[], float]
    ) -> Iterator[tuple[OrderRequest, tuple[int, Decimal]]]:
        """Yield what is to be placed on these words, each with its cause; the next one when it is sent."""
        for word in words:
            live = self._store.live_orders()
            order = self._order_of(word, live)
            if order is None or placing.has_cancelled(order):
                continue
            coins = self._coins() if order.side is Side.BUY else None
            late = placing.late.orders(clock())
            for request in strategy.counter_orders(order, word.filled, live, late, coins):
                self._tried[order.client_id] = word.filled
                self._may_be_new = True
                yield request, (order.client_id, word.filled)
                self._note_sent(clock())

    def _order_of(self, told: ToldFill, live: Sequence[Order]) -> Order | None:
        """Return this bot's order that `told` is certainly of; None without one, or where it is no news."""
        order = next((one for one in live if one.exchange_id == told.exchange_id), None)
        if self.is_distrusted or order is None or order.state != "open" or order.market:
            return None
        terms = (order.client_id, order.price, order.qty)
        if terms != (told.client_id, told.price, told.qty) or told.side not in (None, order.side):
            return None
        known = max(order.filled, self._tried.get(order.client_id, ZERO))
        if not known < told.filled <= order.qty:
            return None
        # One word at a time of a cell: what follows is decided when it is booked.
        waiting = {word.client_id for word in self._pending.values()} | self._pending.keys()
        cells = {one.cell for one in live if one.client_id in waiting}
        return None if order.cell in cells or order.client_id in waiting else order

    def _note_sent(self, now: float) -> None:
        """Take down what was sent on a word, also by the process before, whose words are waited for anew."""
        if not self._may_be_new:
            return
        self._may_be_new = False
        for client_id, (cause, filled) in self._store.told_causes().items():
            if client_id not in self._pending and client_id not in self._proven | self._denied:
                self._pending[client_id] = _Word(cause, filled, now)

    def settle(self, result: Reconciliation, now: float) -> bool:
        """Decide after a pass what has become of each word. Return whether a denied one is done with."""
        self._note_sent(now)
        self.note_booked()
        for client_id, word in list(self._pending.items()):
            # A time that is ahead of this clock, which was set back, would be waited for.
            word = self._pending[client_id] = replace(word, since=min(word.since, now))
            if why := _denial(self._store.order(word.client_id), word, result, now):
                self._deny(client_id, word, why, now)
        is_any = self._proven or self._denied or self._tried
        live = {order.client_id for order in self._store.live_orders()} if is_any else set()
        had_denied, self._denied = bool(self._denied), self._denied & live
        self._proven &= live
        self._tried = {client_id: filled for client_id, filled in self._tried.items() if client_id in live}
        if not self._denied:
            self.condition = None
        return had_denied and not self._denied

    def note_booked(self) -> None:
        """Take down which words are true: so much of their orders is booked now."""
        for client_id, word in list(self._pending.items()):
            order = self._store.order(word.client_id)
            if order is not None and order.filled >= word.filled:
                self._proven.add(client_id)
                del self._pending[client_id]

    def outdated_ids(self) -> set[int]:
        """Return the client ids of live orders that are to be cancelled: their word is not true."""
        return set(self._denied)

    def unproven_ids(self) -> AbstractSet[int]:
        """Return the client ids of live orders whose word is neither confirmed nor denied yet."""
        return self._pending.keys()

    def _deny(self, client_id: int, word: _Word, why: str, now: float) -> None:
        own = as_text(self._store.ledger.position)
        text = (
            f"the websocket told that {as_text(word.filled)} of order {word.client_id} was filled, and {why}:"
            f" order {client_id}, sent on that word, is cancelled, and no orders are placed until it is gone"
        )
        self._denied.add(client_id)
        del self._pending[client_id]
        self.is_distrusted = True
        log.warning("%s. From now on the exchange's lists are asked before each order", text)
        self._store.samples.add_error(now, "ledger_differs", text)
        params = {"ledger": own, "account": "?", "cause": "socket", "error": why}
        self.condition = Condition(Code.LEDGER_DIFFERS, text, params)


def _denial(order: Order | None, word: _Word, result: Reconciliation, now: float) -> str | None:
    """Return what denies the word, None while it may be true."""
    if order is None or not order.live:
        return "the order has ended with less"
    listed = result.listed.get(order.client_id)
    is_listed_with_less = listed is not None and listed.filled is not None and listed.filled < word.filled
    if is_listed_with_less and now - word.since >= STALE_S:
        return "the exchange lists the order as open, with less"
    if now - word.since > BELIEVED_FOR_S:
        return f"nothing has confirmed it for {BELIEVED_FOR_S:g} s"
    return None
