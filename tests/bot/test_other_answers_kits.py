"""Answers about another order than the one that was meant, in each exchange's own shape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges.answers import Answers
from gridbot.model.errors import RejectedError
from gridbot.model.types import ExchangeOrder, Order, Side, UnreadableOrder
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Refusal, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.fake_exchange.book import RefusalError

KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
# Lighter answers an order without any id.
NAMING = tuple(kind for kind in KITS if kind is not Lighter)
IDS = ("id", "orderId")
CLIENT_IDS = ("clientId", "clientOrderId", "client_id")
each_kit = pytest.mark.parametrize("kind", KITS)
each_naming_kit = pytest.mark.parametrize("kind", NAMING)
Change = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def whole(_own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return other


def just_the_id(own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return own | {key: other[key] for key in IDS if key in own}


def persons(own: dict[str, Any], _other: dict[str, Any]) -> dict[str, Any]:
    """Another program's: its client id is one that the bot has not."""
    ids = {key: "1" if isinstance(own[key], str) else 1 for key in IDS if key in own}
    return own | ids | {key: type(own[key])(3) for key in CLIENT_IDS if key in own}


def change_creations(kit: Kit, change: Change, which: Callable[[int], bool]) -> list[int]:
    """Change the answers to some new orders, by their number. Returns a list that these will be in."""
    carry_out, first, changed = kit.answer, list[dict[str, Any]](), list[int]()
    count = 0

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        nonlocal count
        answered = carry_out(path, method, params)
        if not kit.is_write(path, method) or kit.is_cancel(path, params, method):
            return answered
        count += 1
        row = answered["data"] if isinstance(answered.get("data"), dict) else answered
        first.append(row)
        if not which(count):
            return answered
        changed.append(count)
        row = change(row, first[0])
        return {**answered, "data": row} if "data" in answered else row

    kit.answer = answer  # type: ignore[method-assign]
    return changed


@each_naming_kit
@pytest.mark.parametrize("change", [whole, just_the_id, persons])
def test_a_new_order_that_is_answered_with_another_one_is_looked_up_by_its_own_client_id(
    kind: type[Kit], change: Change, tmp_path: Path
) -> None:
    kit = kind()
    changed = change_creations(kit, change, lambda number: number in (3, 5))
    run = Run(kit, tmp_path)
    for _ in range(6):
        run.tick()  # no level has two orders
    assert changed == [3, 5]
    known = {order.exchange_id: order.client_id for order in run.store.live_orders()}
    assert known == {order.id: order.client_id for order in kit.book.own_open()}
    run.walk(15)
    run.end()


def without_echo(own: dict[str, Any], _other: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in CLIENT_IDS}


def with_a_zero(own: dict[str, Any], _other: dict[str, Any]) -> dict[str, Any]:
    return own | {key: "0" for key in CLIENT_IDS if key in own}


def in_another_form(own: dict[str, Any], _other: dict[str, Any]) -> dict[str, Any]:
    return own | {key: f"x-{own[key]}" for key in CLIENT_IDS if key in own}


@each_naming_kit
@pytest.mark.parametrize("change", [without_echo, with_a_zero, in_another_form])
def test_a_new_order_whose_answer_echoes_no_client_id_is_accepted_by_the_id_in_it(
    kind: type[Kit], change: Change, tmp_path: Path
) -> None:
    kit = kind()
    change_creations(kit, change, lambda _number: True)
    run = running(kit, tmp_path)
    assert run.failures == []
    assert len(kit.book.own_open()) >= 5
    run.walk(10)
    run.end()


@pytest.mark.parametrize("kind", [Apex, Aster, AsterSpot, Paradex])
@pytest.mark.parametrize("is_named", [True, False])
def test_an_order_that_is_answered_with_another_one_is_not_settled_by_it(
    kind: type[Kit], is_named: bool
) -> None:
    """With one of the same terms, which has ended; at Paradex, where that is not told, with an open one."""
    kit = kind()
    old, new = (kit.book.place("Bid", "Limit", Decimal(140), kit.book.lot, one) for one in (5, 6))
    if kind is not Paradex:
        kit.book.cancel(old.id)
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        is_single = method == "GET" and any(str(params.get(key)) in ("6", new.id) for key in SINGLE)
        if not is_single:
            return carry_out(path, method, params)
        return carry_out(path, method, {key: _swapped(key, params[key], old.id) for key in params})

    order = Order(
        client_id=6,
        slot="L1",
        side=Side.BUY,
        price=Decimal(140),
        qty=kit.book.lot,
        filled=Decimal(0),
        state="open" if is_named else "new",
        created_at=kit.now,
        exchange_id=new.id if is_named else None,
    )
    [(_, row)] = kit.adapter.find([order])
    assert isinstance(row, ExchangeOrder)
    assert (row.exchange_id, row.open) == (new.id, True)
    kit.answer = answer  # type: ignore[method-assign]
    [(_, row)] = kit.adapter.find([order])
    assert isinstance(row, UnreadableOrder)
    assert row.may_be(order)


SINGLE = ("id", "orderId", "order_id", "origClientOrderId", "client_id")


def _swapped(key: str, value: Any, old_id: str) -> Any:
    """Ask for the old order in place of the new one."""
    if key not in SINGLE:
        return value
    return 5 if str(value) == "6" else old_id


def hide(kit: Kit, order_id: str, refusal: RefusalError) -> list[str]:
    """Let no answer tell of an order, and refuse to cancel it. Returns a list of the attempts."""
    carry_out, attempts = kit.answer, list[str]()

    def is_it(row: Any) -> bool:
        names = ("id", "order_id", "orderId", "order_index")
        return isinstance(row, dict) and order_id in [str(row[name]) for name in names if name in row]

    def without(answer: Any) -> Any:
        if isinstance(answer, list):
            return [without(row) for row in answer if not is_it(row)]
        if is_it(answer):
            raise RefusalError("RESOURCE_NOT_FOUND", "Order not found", 404)
        return {key: without(value) for key, value in answer.items()} if isinstance(answer, dict) else answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        if kit.is_cancel(path, params, method):
            words = str(params)
            if f"'{order_id}'" in words or f": {order_id}," in words or f": {order_id}}}" in words:
                attempts.append(order_id)
                raise refusal
        answered = carry_out(path, method, params)
        return without(answered) if method == "GET" else answered

    kit.answer = answer  # type: ignore[method-assign]
    return attempts


@each_kit
def test_an_order_that_no_list_has_and_that_is_refused_to_be_cancelled_keeps_its_level(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    told = kit.answer
    run = running(kit, tmp_path)
    hidden = kit.book.own_open()[0]
    attempts = hide(kit, hidden.id, RefusalError("MARKET_HALTED", "cancellations are halted"))
    for _ in range(25):
        run.tick()  # no level has two orders
    assert attempts
    assert hidden in kit.book.own_open()
    kit.answer = told  # type: ignore[method-assign]
    run.tick()
    assert hidden.id in {order.exchange_id for order in run.store.live_orders()}
    run.end()


@pytest.mark.parametrize(
    ("words", "is_ended"),
    [
        ("order is inactive", True),
        ("given order is not an active limit order", True),
        ("ORDER_IS_CLOSED", True),
        ("Unknown order sent.", True),
        ("The order has been cancelled", True),
        ("order is already filled", True),
        ("order is no longer open", True),
        ("ORDER_IS_NOT_OPEN_YET", False),
        ("the market is closed", False),
        ("order book is closed", False),
        ("cancellations are halted", False),
        ("account has a queued cancel all orders request", False),
    ],
)
def test_the_words_with_which_an_ended_order_is_not_cancelled(words: str, *, is_ended: bool) -> None:
    assert Answers("paradex").is_ended_order(words, is_missing=False) is is_ended


@pytest.mark.parametrize("kind", [Aster, AsterSpot])
def test_asters_code_of_a_refused_cancellation_says_nothing_without_its_words(kind: type[Kit]) -> None:
    kit = kind()
    order = Order(
        5, "L1", Side.BUY, Decimal(140), kit.book.lot, Decimal(0), "open", kit.now, exchange_id="987654"
    )
    kit.adapter.cancel(order)  # "Unknown order sent."
    disabled = Refusal(400, {"code": -2011, "msg": "This action is disabled on this account."})
    kit.refusal = lambda err: disabled  # type: ignore[method-assign]
    with pytest.raises(RejectedError, match="disabled"):
        kit.adapter.cancel(order)
