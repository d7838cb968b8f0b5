"""How a slot waits after a refusal, and what an answer with another order's id is worth."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.model.errors import RejectedError, UnauthorizedError, UnclearError
from gridbot.model.types import ExchangeOrder, LateRefusal, Order, OrderRequest, Side
from gridbot.store.store import Store
from gridbot.trading.listing import Reconciliation
from gridbot.trading.placing import BACKOFF_S, Placing
from gridbot.trading.refusals import MIN_REFUSALS, PARTIAL_AFTER_S

pytestmark = pytest.mark.usefixtures("live_run")

WANT = OrderRequest("L1", Side.BUY, Decimal(100), Decimal(1), 1, post_only=True)


class Answers:
    """An exchange that answers each order with the next one of these: an id, or a refusal."""

    max_client_id, settle_s = 1 << 31, 1.0

    def __init__(self, *answers: str | RejectedError) -> None:
        self._answers = list(answers)
        self.orders: list[Order] = []

    def cancel(self, order: Order) -> None:
        raise RejectedError("not now")

    def place(self, order: Order) -> str:
        self.orders.append(order)
        answer = self._answers.pop(0)
        if isinstance(answer, RejectedError):
            raise answer
        return answer


def placing(store: Store, answers: Answers) -> Placing:
    exchange: Any = answers
    return Placing(store, exchange, 60.0, lambda: 0.0, lambda: None, lambda _client_id: None)


@pytest.mark.parametrize(("later", "is_sent"), [(0.5, False), (1.5, True), (-30.0, False), (-3600.0, True)])
def test_a_refused_slot_waits_and_not_for_a_clock_that_was_set_back(
    store: Store, later: float, *, is_sent: bool
) -> None:
    """It would stay empty for as long as the clock was set back."""
    exchange = Answers(RejectedError("would take"), "x2")
    sender, now = placing(store, exchange), 10_000.0
    assert sender.place(WANT, now) == []
    assert BACKOFF_S[0] == 1.0
    assert bool(sender.place(WANT, now + later)) is is_sent
    assert len(exchange.orders) == 1 + is_sent


def test_an_answer_with_the_id_of_another_order_names_no_new_one(store: Store) -> None:
    """Its fills would be booked for both, and a cancellation would hit the other one."""
    sender = placing(store, Answers("x1", "x1"))
    [first] = sender.place(WANT, 0.0)
    with pytest.raises(UnclearError, match="the id of another one, x1"):
        sender.place(replace(WANT, slot="L2"), 0.0)
    assert [order.exchange_id for order in store.live_orders()] == ["x1", None]
    assert first.client_id == store.live_orders()[0].client_id


def test_when_orders_are_accepted_again_no_slot_waits_any_more(store: Store) -> None:
    sender = placing(store, Answers(*[RejectedError("no funds")] * 3, "x4", "x5"))
    for level in range(3):
        sender.place(replace(WANT, slot=f"L{level}"), 0.0)
    sender.refusals.update(0.0, 0)
    assert sender.refusals.is_active
    assert sender.place(replace(WANT, slot="L0"), 0.1)
    assert not sender.refusals.is_active
    assert sender.place(replace(WANT, slot="L1"), 0.2), "its own pause of 1 s is over with the cause"


def test_an_order_that_this_bot_cancels_is_not_dropped_by_the_exchange(store: Store) -> None:
    """Each cancellation would count as a refusal, and the level would wait."""
    sender = placing(store, Answers("x1", "x2"))
    [order] = sender.place(WANT, 0.0)
    sender.cancel(order, 0.0)
    sender.note_refused(Reconciliation(dropped=[order]), 0.1)
    store.close_order(order.client_id, "canceled")
    assert sender.place(WANT, 0.2)


def test_that_a_cancellation_is_refused_is_said_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """While the order is listed it is cancelled again with each tick."""
    sender = placing(store, Answers("x1"))
    [order] = sender.place(WANT, 0.0)
    for tick in range(3):
        sender.cancel(order, float(tick))
    assert caplog.text.count("cannot cancel order") == 1


def rests(order: Order) -> Reconciliation:
    """A pass in which the exchange lists this order."""
    row = ExchangeOrder(
        str(order.exchange_id), order.client_id, order.side, order.price, order.qty, order.filled, True
    )
    return Reconciliation(listed={order.client_id: row})


def test_after_a_late_refusal_only_an_order_that_was_sent_since_says_that_orders_are_accepted(
    store: Store,
) -> None:
    """One that rests since before would end the pauses, although each new order is refused."""
    sender = placing(store, Answers("x1", "x2", "x3", "x4"))
    wants = [replace(WANT, slot=f"L{level}") for level in range(4)]
    [before], [refused] = (sender.place(want, 0.0) for want in wants[:2])
    late = Reconciliation(refused=[(refused, LateRefusal("margin", "insufficient_funds"))])
    sender.note_refused(late, 1.0)
    sender.note_refused(rests(before), 2.0)
    assert sender.refusals.is_late
    [between] = sender.place(wants[2], 3.0)
    sender.note_refused(late, 4.0)
    sender.note_refused(rests(between), 5.0)
    assert sender.refusals.is_late, "it was sent before the latest refusal"
    [newest] = sender.place(wants[3], 6.0)
    sender.note_refused(rests(newest), 7.0)
    assert not sender.refusals.is_late


def test_while_all_are_refused_the_slot_that_was_tried_least_is_next(store: Store) -> None:
    """What is refused may be a single level: that one again and again would hide that others are taken."""
    sender = placing(store, Answers(*(RejectedError("no") for _ in range(3))))
    often, seldom = replace(WANT, slot="L1"), replace(WANT, slot="L2")
    sender.place(often, 0.0)
    sender.place(often, 100.0)
    sender.place(seldom, 200.0)
    assert sender.worth_trying([often, seldom], 300.0) == [seldom]


def test_an_order_that_is_no_longer_live_is_not_kept_as_cancelled(store: Store) -> None:
    sender = placing(store, Answers("x1"))
    [order] = sender.place(WANT, 0.0)
    sender.cancel(order, 0.0)
    sender.note_refused(Reconciliation(), 0.1)
    assert sender.has_cancelled(order)
    store.close_order(order.client_id, "canceled")
    sender.note_refused(Reconciliation(), 0.2)
    assert not sender.has_cancelled(order)


def test_a_key_that_may_not_cancel_is_an_order_that_is_refused(store: Store) -> None:
    """Its orders would rest on, and nobody would be told."""
    answers: Any = Answers("x1")

    def refuse(_order: Order) -> None:
        raise UnauthorizedError("may not cancel")

    answers.cancel = refuse
    sender = placing(store, answers)
    [order] = sender.place(WANT, 0.0)
    for tick in range(MIN_REFUSALS):
        sender.cancel(order, float(tick))
    sender.refusals.update(2.0 + PARTIAL_AFTER_S, 1)
    condition = sender.refusals.condition()
    assert condition is not None
    assert condition.params["error"] == "may not cancel"
