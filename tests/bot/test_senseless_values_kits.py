"""Numbers that no price, order or execution has, in each exchange's own shape: none of them is booked."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.model.errors import UnclearError, UnreachableError
from gridbot.model.types import ExchangeOrder, Fill, Order, Side, UnreadableFill
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
FILLED = ("cumMatchFillSize", "cumSuccessFillSize", "executedQty", "executedQuantity", "filled_base_amount")
# How an execution's path ends, and the names of its quantity and its price.
EXECUTIONS = ("fills", "userTrades", "trades")
QUANTITY, PRICE = ("size", "qty", "quantity"), ("price",)
MARKS, LASTS = ("markPrice", "mark_price"), ("lastPrice", "last_trade_price", "last_traded_price")
each_kit = pytest.mark.parametrize("kind", KITS, ids=lambda kind: kind.__name__)


def changed(answer: Any, names: tuple[str, ...], value: Any) -> Any:
    if isinstance(answer, list):
        return [changed(one, names, value) for one in answer]
    if not isinstance(answer, dict):
        return answer
    return {key: value if key in names else changed(one, names, value) for key, one in answer.items()}


def spoil(kit: Kit, ends: tuple[str, ...], names: tuple[str, ...], value: Any) -> None:
    """Let answers from paths that end so have `value` under these names."""
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = carry_out(path, method, params)
        if method != "GET" or not path.endswith(ends):
            return reply
        return changed(copy.deepcopy(reply), names, value)

    kit.answer = answer  # type: ignore[method-assign]


def booked_by_its_order(
    kit: Kit, tmp_path: Path, names: tuple[str, ...], value: str
) -> Sequence[Fill | UnreadableFill]:
    """Have an order fill whose executions are spoiled; see it booked by the order; return the executions."""
    whole = kit.answer
    run = Run(kit, tmp_path)
    run.tick()
    spoil(kit, EXECUTIONS, names, value)
    kit.book.move(D(148))
    executions = kit.adapter.fills(kit.now - 60)
    for _ in range(3):
        run.tick(31.0)
    assert run.store.ledger.position == kit.book.position() > 0
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)
    return executions


@each_kit
@pytest.mark.parametrize(
    ("names", "value"), [(QUANTITY, "-0.1"), (QUANTITY, "0"), (PRICE, "-1"), (PRICE, "0")]
)
def test_an_execution_of_nothing_or_less_is_looked_up_by_its_order(
    kind: type[Kit], names: tuple[str, ...], value: str, tmp_path: Path
) -> None:
    executions = booked_by_its_order(kind(), tmp_path, names, value)
    assert executions
    assert all(isinstance(execution, UnreadableFill) for execution in executions)


@each_kit
def test_an_execution_of_more_than_its_order_is_looked_up_by_its_order(
    kind: type[Kit], tmp_path: Path
) -> None:
    """As one in another unit would be."""
    booked_by_its_order(kind(), tmp_path, QUANTITY, "100")


@each_kit
@pytest.mark.parametrize("value", ["-0.1", "100"])
def test_no_order_is_less_filled_than_nothing_or_more_than_all(kind: type[Kit], value: str) -> None:
    kit = kind()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book._fill(placed, D(140), D("0.1"), maker=True)
    kit.book.cancel(placed.id)
    left = str(D("0.3") - D(value))
    spoil(kit, ("",), FILLED, value)
    spoil(kit, ("",), ("remaining_size",), left)
    own = Order(5, "L1", Side.BUY, D(140), D("0.3"), D(0), "open", 0.0, 0, placed.id)
    [(_, exchange_order)] = kit.adapter.find([own])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.filled is None


@each_kit
@pytest.mark.parametrize("value", ["0", "-150"])
def test_a_price_of_nothing_or_less_is_none(kind: type[Kit], value: str) -> None:
    kit = kind()
    spoil(kit, ("ticker", "24hr", "summary", "orderBookDetails", "markPrices", "premiumIndex"), MARKS, value)
    assert kit.adapter.price() == 150
    assert kit.adapter.mark_price() == 150, "the middle of the book"
    spoil(kit, ("ticker", "24hr", "summary", "orderBookDetails"), LASTS, value)
    with pytest.raises(UnreachableError):
        kit.adapter.price()


@each_kit
@pytest.mark.parametrize(
    ("bid", "ask"), [("0", "150"), ("150", "0"), ("-1", "150"), ("151", "150"), ("x", "150")]
)
def test_a_book_without_a_price_on_a_side_has_no_middle(kind: type[Kit], bid: str, ask: str) -> None:
    """Half the price would have closed a position by its stop loss, and at half its worth."""
    kit = kind()
    spoil(kit, ("markPrices", "premiumIndex", "summary"), MARKS, "")
    carry_out = kit.answer

    def level(price: str) -> list[Any]:
        return [{"price": price, "remaining_base_amount": "1"}] if kind is Lighter else [[price, "1"]]

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = carry_out(path, method, params)
        if not path.endswith(("depth", "orderBookOrders")) and not path.startswith("orderbook/"):
            return reply
        if kind is Apex:
            return {"data": reply["data"] | {"b": level(bid), "a": level(ask)}}
        return reply | {"bids": level(bid), "asks": level(ask)}

    kit.answer = answer  # type: ignore[method-assign]
    assert kit.adapter.mark_price() is None


def with_rows(answer: Any, more: Sequence[Any]) -> Any:
    if isinstance(answer, list):
        return [*more, *answer, *more]
    if isinstance(answer, dict):
        return {key: with_rows(value, more) for key, value in answer.items()}
    return answer


@each_kit
@pytest.mark.parametrize("row", [None, "x", 5, {}, []])
def test_what_is_no_row_hides_none_beside_it(kind: type[Kit], row: Any) -> None:
    kit = kind()
    placed = kit.book.place("Bid", "Market", None, kit.book.lot, 7)
    kit.spoilt = dict.fromkeys(kit.paths, lambda answer: with_rows(answer, [row]))
    fills = [fill for fill in kit.adapter.fills(kit.now - 60) if isinstance(fill, Fill)]
    assert [fill.exchange_id for fill in fills] == [placed.id]
    assert [order.exchange_id for order in kit.adapter.open_orders() if isinstance(order, ExchangeOrder)] == [
        order.id for order in kit.others
    ]


@each_kit
def test_an_execution_that_names_its_order_by_the_client_id_alone_is_counted_by_its_order(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    whole = kit.answer
    run = Run(kit, tmp_path)
    run.tick()
    spoil(kit, EXECUTIONS, ("orderId", "order_id", "bid_id", "ask_id"), "")
    kit.book.move(D(148))
    for _ in range(3):
        run.tick()
    assert run.store.ledger.position == kit.book.position() > 0
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)


@pytest.mark.parametrize("value", [None, "", "None", [], {}, True, False, 2.5])
@pytest.mark.parametrize("kind", [kind for kind in KITS if kind.perp], ids=lambda kind: kind.__name__)
def test_a_position_of_what_is_no_market_is_not_another_markets(kind: type[Kit], value: Any) -> None:
    """It was left out, and the bot's own position with it: 0."""
    kit = kind()
    kit.book.place("Bid", "Market", None, D("0.3"), 7)
    assert kit.adapter.position() == D("0.3")
    spoil(kit, (kit.paths["positions"],), ("symbol", "market", "market_id"), value)
    with pytest.raises(UnclearError):
        kit.adapter.position()


@each_kit
def test_an_execution_that_is_listed_again_under_another_id_is_not_booked_again(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    whole = kit.answer
    run = Run(kit, tmp_path)
    run.tick()
    kit.book.move(D(148))
    run.tick()
    assert run.store.ledger.position == kit.book.position() > 0
    spoil(kit, EXECUTIONS, ("id", "tradeId", "trade_id"), "4444")
    for _ in range(3):
        run.tick()
    assert run.store.ledger.position == kit.book.position()
    kit.answer = whole  # type: ignore[method-assign]
    run.end(fees_are_known=False)
