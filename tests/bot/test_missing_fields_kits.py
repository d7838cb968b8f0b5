"""Rows that lack one field, in each exchange's own shape: what they don't say is unknown."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.types import ExchangeOrder, Order, Side
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
FILLED = (
    *("cumMatchFillSize", "cumSuccessFillSize", "executedQty", "executedQuantity", "filled_base_amount"),
    *("remaining_size", "cancel_reason"),
)
AMOUNTS = FILLED[:-1]
CLIENT_IDS = ("clientId", "clientOrderId", "client_id", "client_order_index", "client_order_id")
each_kit = pytest.mark.parametrize("kind", KITS)
MISSING = object()


def lacking(answer: Any, names: tuple[str, ...], value: Any) -> Any:
    """The answer with these fields left out, or with that value."""
    if isinstance(answer, list):
        return [lacking(one, names, value) for one in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {key: lacking(one, names, value) for key, one in answer.items() if key not in names}
    return kept if value is MISSING else kept | {key: value for key in answer if key in names}


def spoil_reads(kit: Kit, names: tuple[str, ...], value: Any) -> None:
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        answered = carry_out(path, method, params)
        return lacking(copy.deepcopy(answered), names, value) if method == "GET" else answered

    kit.answer = answer  # type: ignore[method-assign]


@each_kit
@pytest.mark.parametrize("value", [MISSING, None, ""])
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_how_much_is_filled_is_not_worked_out(kind: type[Kit], value: Any, is_cancelled: bool) -> None:
    kit = kind()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book._fill(placed, D(140), D("0.1") if is_cancelled else D("0.3"), maker=True)
    if is_cancelled:
        kit.book.cancel(placed.id)
    spoil_reads(kit, FILLED, value)
    own = Order(5, "L1", Side.BUY, D(140), D("0.3"), D(0), "open", 0.0, 0, placed.id)
    [(_, exchange_order)] = kit.adapter.find([own])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.filled in ((None,) if is_cancelled else (None, D("0.3")))


@each_kit
@pytest.mark.parametrize("value", [0, "0"])
def test_an_order_that_is_called_filled_is_not_filled_by_nothing(kind: type[Kit], value: Any) -> None:
    kit = kind()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book._fill(placed, D(140), D("0.3"), maker=True)
    spoil_reads(kit, AMOUNTS, value)
    own = Order(5, "L1", Side.BUY, D(140), D("0.3"), D(0), "open", 0.0, 0, placed.id)
    [(_, exchange_order)] = kit.adapter.find([own])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.filled == D("0.3")


def test_a_cancelled_order_of_which_nothing_remains_contradicts_itself() -> None:
    kit = Paradex()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book.cancel(placed.id)
    spoil_reads(kit, ("remaining_size",), "0")
    own = Order(5, "L1", Side.BUY, D(140), D("0.3"), D(0), "open", 0.0, 0, placed.id)
    [(_, exchange_order)] = kit.adapter.find([own])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.filled is None


def without_rows(answer: Any) -> Any:
    """The answer with nothing in its lists."""
    if isinstance(answer, list):
        return []
    return {key: without_rows(one) for key, one in answer.items()} if isinstance(answer, dict) else answer


@each_kit
def test_executions_that_are_never_listed_are_counted_by_the_open_orders_total(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind(lot=D("0.01"))
    kit.spoilt["executions"] = without_rows
    run = running(kit, tmp_path)
    order = max(kit.book.own_open(), key=lambda one: (one.side == "Bid", one.price))
    assert order.price is not None
    kit.book._fill(order, order.price, D("0.04"), maker=True)
    run.tick()
    assert run.store.ledger.position == 0, "it may only be late"
    run.tick(61.0)
    assert run.store.ledger.position == D("0.04")
    del kit.spoilt["executions"]
    run.tick()
    assert run.store.ledger.position == D("0.04")
    assert run.failures == []
    run.end(fees_are_known=False)


@each_kit
@pytest.mark.parametrize("value", [MISSING, None, "", "web-1"])
def test_an_order_whose_answer_was_lost_is_not_doubled_while_the_list_names_no_client_ids(
    kind: type[Kit], value: Any, tmp_path: Path
) -> None:
    kit = kind()
    named, fetch, lost = kit.answer, kit.api.fetch, 0

    def lose_answers(url: tuple[str, dict[str, Any]], method: str = "GET", *rest: Any) -> Any:
        nonlocal lost
        answer = fetch(url, method, *rest)
        is_order = kit.is_write(url[0], method) and not kit.is_cancel(*url, method)
        if is_order and lost < 3:
            lost += 1
            raise kit.adapter._errors.RequestTimeout("timed out")
        return answer

    kit.api.fetch = lose_answers
    spoil_reads(kit, CLIENT_IDS, value)
    run = Run(kit, tmp_path)
    for _ in range(15):
        run.tick()  # no level has two orders
    assert lost == 3
    assert len(kit.book.own_open()) >= 5
    kit.answer = named  # type: ignore[method-assign]
    run.end()


def test_an_orders_total_costs_at_lighter_what_its_executions_do() -> None:
    """The market says what a standard account pays: nothing."""
    kit = Lighter()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book._fill(placed, D(140), D("0.1"), maker=True)
    kit.adapter.fills(kit.now - 60)
    fees = [row.fee for row in kit.adapter.open_orders() if isinstance(row, ExchangeOrder) and row.filled]
    assert fees == [D(140) * D("0.1") * kit.maker_fee]
