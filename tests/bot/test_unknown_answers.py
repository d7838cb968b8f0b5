"""What an answer does not say is unknown: read as zero, as an id or as this order's, it refuses live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import (
    answer_check,
    answers,
    answers_apex,
    answers_aster,
    answers_backpack,
    answers_lighter,
    answers_paradex,
    ccxt_client,
    ccxt_exchange,
    unknown_answers,
    values,
)
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.known_exchange import KnownExchange
from gridbot.exchanges.order_match import Row, match_order
from gridbot.exchanges.verification import require_verified
from gridbot.model.types import ZERO, ExchangeOrder, Order, Side, UnreadableOrder
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.kit import Kit
from tests.bot.kits.paradex import Paradex
from tests.bot.test_answer_check import LIVE, MARKETS, settings_of
from tests.bot.test_known_calls import Market, require_refused
from tests.bot.test_missing_fields_kits import lacking

WITHOUT_IDS = "lighter"  # its answer to a new order has none, and is about none


@pytest.mark.parametrize("market", MARKETS)
def test_an_answer_without_a_list_that_is_taken_for_an_empty_one_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = READERS[market[0]].rows
    monkeypatch.setattr(READERS[market[0]], "rows", lambda *of: own(*of) or [])
    require_refused(market, "executions: taken for one although it is without a list")


@pytest.mark.parametrize("market", MARKETS)
def test_rows_of_another_market_that_are_taken_for_this_ones_refuse_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most known lists have none, and ccxt does not filter every one."""
    monkeypatch.setattr(READERS[market[0]], "is_of", lambda *_: True)
    require_refused(market, "(executions|an open order, partly filled): ")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] in ("aster", "paradex", "apex")])
def test_another_order_that_is_taken_for_the_one_that_was_asked_for_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are asked for one order by its name."""
    monkeypatch.setattr(READERS[market[0]], "order_asked_for", lambda self, _, raw, of: self.order(raw, of))
    require_refused(market, "an order .*: taken for one although it is of another order")


def _of_id(_: Any, answer: Any, __: Any) -> str:
    return str(answer["id"])


def _of_id_or_text(_: Any, answer: Any, __: Any) -> str:
    return str(answer.get("id"))


@pytest.mark.parametrize("market", [market for market in MARKETS if market[0] != WITHOUT_IDS])
@pytest.mark.parametrize(
    ("reads", "why"), [(_of_id, "of another order|without an id"), (_of_id_or_text, "without an id")]
)
def test_an_id_that_is_none_or_another_orders_refuses_live(
    reads: Callable[..., str], why: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As apex's trades once had the order "None"."""
    monkeypatch.setattr(READERS[market[0]], "new_id", reads)
    require_refused(market, f"the answer to a new order: taken for one although it is ({why})")


@pytest.mark.parametrize("market", MARKETS)
def test_no_answer_is_changed_for_what_is_read_next(market: Market) -> None:
    settings = settings_of(*market)
    known = answer_check.load(settings)
    reader = KnownExchange(settings, known)
    for _ in range(2):
        assert unknown_answers.difference(reader, known["cases"]) is None
        for case in known["cases"]:
            assert answer_check.differing(case["must"], reader.read(case)) is None


def test_what_is_changed_is_of_every_kind_for_each_market() -> None:
    """So that none of it is left out where a case is written otherwise."""
    for market in MARKETS:
        cases = answer_check.load(settings_of(*market))["cases"]
        kinds = {what for case in cases for what, _ in unknown_answers._changed(case)}
        assert kinds == {"without a list", "of another market", "without an id", "of another order"}


# values that are left out

MODULES = (answers, answers_aster, answers_backpack, answers_apex, answers_lighter, answers_paradex, values)


def _as_zero(own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: ZERO if value in (None, "") else own(value)


@pytest.mark.parametrize("name", ["decimal", "positive"])
@pytest.mark.parametrize("market", MARKETS)
def test_a_value_that_is_left_out_and_is_read_as_0_refuses_live(
    market: Market, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as_zero = _as_zero(getattr(values, name))
    for module in (*MODULES, ccxt_exchange):
        for own in (name, f"_{name}"):
            if hasattr(module, own):
                monkeypatch.setattr(module, own, read_as_zero)
    require_refused(market)


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] != "lighter"])
def test_a_side_that_is_left_out_and_is_read_as_a_purchase_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = answers.side_of
    monkeypatch.setattr(answers, "side_of", lambda value: own(value) or Side.BUY)
    require_refused(market, "although it is left out")


def _is_left_out(row: dict[str, Any], name: str, default: Any) -> dict[str, Any]:
    return row | {name: default} if row.get(name) is None else row


@pytest.mark.parametrize(
    ("parse", "name", "default"),
    [
        ("parse_trade", "order", "1"),
        ("parse_trade", "side", "buy"),
        ("parse_trade", "price", 1.0),
        ("parse_trade", "amount", 1.0),
        ("parse_order", "side", "buy"),
    ],
)
@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] in ("backpack", "aster", "paradex")])
def test_a_ccxt_with_a_value_of_its_own_for_what_is_left_out_refuses_live(
    market: Market, parse: str, name: str, default: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = getattr(ccxt_class, parse)
    monkeypatch.setattr(ccxt_class, parse, lambda self, *of: _is_left_out(own(self, *of), name, default))
    if market[0] == "aster" and (parse, name) == ("parse_trade", "side"):
        require_verified(settings_of(*market), LIVE, listens=False)  # an execution says it twice there
    else:
        require_refused(market, "although it is left out")


# orders among the rows of a list


def _first(_: Order, rows: Sequence[Row]) -> Row | None:
    return next(iter(rows), None)


def _readable(order: Order, rows: Sequence[Row]) -> Row | None:
    return match_order(order, [row for row in rows if isinstance(row, ExchangeOrder)])


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] != "apex"])
@pytest.mark.parametrize("match", [_first, _readable])
def test_another_row_of_a_list_that_is_taken_for_the_order_refuses_live(
    market: Market, match: Callable[..., Row | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apex has no list of ended orders that is looked through."""
    monkeypatch.setattr(ccxt_exchange, "match_order", match)
    require_refused(market, "order")


@pytest.mark.parametrize("kind", [Aster, AsterSpot, Paradex])
def test_an_order_whose_row_cannot_be_read_is_not_missing_where_it_is_not_listed_alone(
    kind: type[Kit],
) -> None:
    """Several are looked for in one list first, which has the order."""
    kit = kind()
    orders = [
        Order(number, "L1", Side.BUY, Decimal(149), Decimal("0.1"), ZERO, "new", 0.0) for number in (7, 8)
    ]
    for order in orders:
        kit.adapter.place(order)
        kit.book.cancel(kit.book.own_open()[0].id)
    whole = kit.answer
    kit.answer = lambda *of: lacking(whole(*of), ("side",), None)  # type: ignore[method-assign]
    kit.adapter._find_one = lambda order: None  # type: ignore[method-assign]
    assert [type(row) for _, row in kit.adapter.find(orders)] == [UnreadableOrder] * 2
