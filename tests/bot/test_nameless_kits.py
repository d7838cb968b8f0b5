"""Orders that the lists hardly tell of: without a client id, behind thousands of others, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchanges import ccxt_exchange
from gridbot.model.types import ZERO, OrderRequest, Side
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run, running
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_missing_fields_kits import CLIENT_IDS, MISSING, spoil_reads
from tests.fake_exchange.book import BookOrder

KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
each_kit = pytest.mark.parametrize("kind", KITS)
# Hundreds of executions are read: an exchange's spot market, too, in the long form only.
each_exchange = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.long_form] if kind in (AsterSpot, BackpackSpot) else [])
        for kind in KITS
    ],
)
ANY_CLIENT_ID = (*CLIENT_IDS, "bid_client_id", "ask_client_id")


def lose_the_next_answer(kit: Kit) -> list[BookOrder]:
    """Let the next order be carried out and its answer be lost. Returns a list that it will be in."""
    fetch, lost = kit.api.fetch, list[BookOrder]()

    def lose(url: tuple[str, dict[str, Any]], method: str = "GET", *rest: Any) -> Any:
        answer = fetch(url, method, *rest)
        if kit.is_write(url[0], method) and not kit.is_cancel(*url, method) and not lost:
            lost.append(list(kit.book.orders.values())[-1])
            raise kit.adapter._errors.RequestTimeout("timed out")
        return answer

    kit.api.fetch = lose
    return lost


@each_kit
def test_an_order_that_is_filled_before_any_answer_names_it_is_booked(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    named = kit.answer
    spoil_reads(kit, ANY_CLIENT_ID, MISSING)
    lost = lose_the_next_answer(kit)
    run = Run(kit, tmp_path)
    run.tick(1.0)
    [order] = lost
    assert order.price is not None
    kit.book._fill(order, order.price, order.qty, maker=True)
    for _ in range(6):
        run.tick()
    assert run.store.ledger.position == kit.book.position() != ZERO
    assert [one.id for one in kit.book.own_open() if one.price == order.price] == []
    kit.answer = named  # type: ignore[method-assign]
    run.end()


@each_kit
@pytest.mark.parametrize("ahead", [-400.0, 400.0])
def test_an_order_without_a_name_is_booked_by_an_exchanges_clock_that_is_minutes_off(
    kind: type[Kit], ahead: float, tmp_path: Path
) -> None:
    """`ahead`: of the exchange's clock. It is measured, and signatures are made by it."""
    kit = kind()
    kit.book.clock = lambda: kit.now + ahead
    kit.adapter._set_clock(ahead)
    spoil_reads(kit, ANY_CLIENT_ID, MISSING)
    lost = lose_the_next_answer(kit)
    run = Run(kit, tmp_path)
    run.tick(1.0)
    [order] = lost
    assert order.price is not None
    kit.book._fill(order, order.price, order.qty, maker=True)
    for _ in range(6):
        run.tick()
    assert run.store.ledger.position == kit.book.position() != ZERO
    run.store.close()


@pytest.mark.parametrize("is_told", [True, False])
def test_whose_an_execution_is_is_known_after_a_restart_too(is_told: bool, tmp_path: Path) -> None:
    """By the client ids that were told before, or by what was asked before."""
    kit = Aster()
    asked = list[str]()
    whole = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        if path.endswith("order") and method == "GET" and "orderId" in params:
            asked.append(str(params["orderId"]))
        return whole(path, method, params)

    run = Run(kit, tmp_path)
    if is_told:
        run.tick(1.0)
        run.tick(1.0)
    kit.answer = answer  # type: ignore[method-assign]
    spoil_reads(kit, ANY_CLIENT_ID, MISSING)
    order = run.store.new_order(OrderRequest("L99", Side.BUY, Decimal("140.5"), kit.book.lot), kit.now)
    terms = Decimal("140.25"), kit.book.lot * (1 if is_told else 2)
    persons = kit.book.place("Bid", "Limit", *terms, None, foreign=True)
    run.tick(1.0)
    kit.book._fill(persons, terms[0], kit.book.lot, maker=True)
    if not is_told:
        run.tick(1.0)
        assert persons.id in asked
    run.store.close()
    asked.clear()
    run.start()
    run.tick(1.0)
    assert persons.id not in asked
    assert run.store.ledger.position == ZERO
    assert run.store.order_by_exchange_id(persons.id) is None
    assert order.client_id in {one.client_id for one in run.store.live_orders()}
    run.store.close()


def never_arrived(run: Run, lost: Sequence[BookOrder]) -> tuple[BookOrder, Decimal]:
    """Place the order whose answer is lost, and take it from the book; return it with its price."""
    run.tick(1.0)
    [order] = lost
    assert order.price is not None
    order.status = "Cancelled"
    run.kit.book.orders.pop(order.id)
    return order, order.price


@each_kit
def test_a_persons_order_is_not_taken_for_one_whose_answer_was_lost(kind: type[Kit], tmp_path: Path) -> None:
    """It was filled at a price that is possible for the bot's own, and has other terms."""
    kit = kind()
    spoil_reads(kit, ANY_CLIENT_ID, MISSING)
    lost = lose_the_next_answer(kit)
    run = Run(kit, tmp_path)
    order, its_price = never_arrived(run, lost)
    better = its_price + Decimal("0.37") * (-1 if order.side == "Bid" else 1)
    persons = kit.book.place(order.side, "Limit", better, order.qty, None, foreign=True)
    kit.book._fill(persons, better, order.qty, maker=True)
    for _ in range(6):
        run.tick()
    assert run.store.ledger.position == ZERO
    run.store.close()


@each_kit
def test_a_persons_order_of_the_same_terms_is_not_taken_where_client_ids_are_told(
    kind: type[Kit], tmp_path: Path
) -> None:
    """The bot's order never arrived, and a person trades just what it was to trade."""
    kit = kind()
    lost = lose_the_next_answer(kit)
    run = Run(kit, tmp_path)
    order, its_price = never_arrived(run, lost)
    persons = kit.book.place(order.side, "Limit", its_price, order.qty, None, foreign=True)
    kit.book._fill(persons, its_price, order.qty, maker=True)
    for _ in range(6):
        run.tick()
    assert run.store.ledger.position == ZERO
    assert run.store.order_by_exchange_id(persons.id) is None
    run.store.close()


@each_exchange
def test_what_is_filled_of_an_open_order_counts_behind_any_number_of_others_executions(
    kind: type[Kit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_exchange, "MOST_PAGES", 2)
    kit = kind(lot=Decimal("0.01"))
    page = kit.adapter._answers.most_on_page = 100 if kind is Lighter else 20  # what lighter itself gives
    run = running(kit, tmp_path)
    order = max(kit.book.own_open(), key=lambda one: (one.side == "Bid", one.price))
    assert order.price is not None

    def fill(qty: str) -> None:
        assert order.price is not None
        kit.book._fill(order, order.price, Decimal(qty), maker=True)

    def trade_beside(times: int) -> None:
        for _ in range(times):
            for side, price in (("Bid", kit.book.price + 1), ("Ask", kit.book.price - 1)):
                kit.book.place(side, "Limit", price, kit.book.lot, None, foreign=True)

    trade_beside(page + page // 10)
    fill("0.04")
    trade_beside(page + page // 10)
    run.tick()
    assert run.store.ledger.position == Decimal("0.04")
    fill("0.02")
    trade_beside(page + page // 10)
    run.tick()
    assert run.store.ledger.position == Decimal("0.06")
    monkeypatch.undo()
    fill("0.01")
    run.tick()
    assert run.store.ledger.position == Decimal("0.07"), "its total still counts, and nothing twice"
    fill("0.03")
    run.walk(20)
    run.end(fees_are_known=False)


@each_kit
def test_an_order_that_no_list_has_for_minutes_is_cancelled_before_its_level_is_placed_again(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    run = running(kit, tmp_path)
    hidden = kit.book.own_open()[0]

    def hide(answer: Any) -> Any:
        if isinstance(answer, list):
            return [hide(row) for row in answer if not _is_order(row, hidden.id)]
        return {key: hide(value) for key, value in answer.items()} if isinstance(answer, dict) else answer

    kit.spoilt["orders"] = hide
    for _ in range(25):
        run.tick()  # no level has two orders
    kit.spoilt.clear()
    assert len(kit.book.own_open()) >= 5
    run.end()


def test_an_order_whose_answer_was_lost_is_not_doubled_by_one_old_list(tmp_path: Path) -> None:
    """What becomes of it is known by the list alone, there."""
    kit = Lighter()
    lost = lose_the_next_answer(kit)
    run = Run(kit, tmp_path)
    run.tick(1.0)
    [order] = lost
    kit.spoilt["orders"] = lambda answer: {**answer, "orders": [one for one in answer["orders"] if not lost]}
    run.tick(9.0)
    kit.spoilt.clear()
    for _ in range(3):
        run.tick()  # no level has two orders
    assert order in kit.book.own_open()
    run.end()


def _is_order(row: Any, order_id: str) -> bool:
    names = ("id", "order_id", "orderId")
    return isinstance(row, dict) and order_id in [str(row[name]) for name in names if name in row]
