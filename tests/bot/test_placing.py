"""How a slot waits after a refusal, and what an answer with another order's id is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.model.errors import RejectedError, UnclearError
from gridbot.model.types import Order, OrderRequest, Side
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from gridbot.trading.placing import BACKOFF_S, Placing

WANT = OrderRequest("L1", Side.BUY, Decimal(100), Decimal(1), 1, post_only=True)


class Answers:
    """An exchange that answers each order with the next one of these: an id, or a refusal."""

    max_client_id = 1 << 31

    def __init__(self, *answers: str | RejectedError) -> None:
        self._answers = list(answers)
        self.orders: list[Order] = []

    def place(self, order: Order) -> str:
        self.orders.append(order)
        answer = self._answers.pop(0)
        if isinstance(answer, RejectedError):
            raise answer
        return answer


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "bot.db", durable=False)
    made.begin_run("backpack SOL_USDC_PERP perp live", "live", {}, Ledger())
    yield made
    made.close()


def placing(store: Store, exchange: Answers) -> Placing:
    return Placing(store, exchange, 60.0, lambda: 0.0, lambda: None, lambda _client_id: None)  # type: ignore[arg-type]


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
