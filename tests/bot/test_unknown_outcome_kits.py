"""What leaves it open whether an order exists is no refusal: the order was carried out each time here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest
import requests

from gridbot.model.errors import RejectedError, UnauthorizedError, UnreachableError
from gridbot.model.types import ZERO, Order, Side, UnreadableFill
from gridbot.trading.cancel import cancel_own_orders
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.over_http import answer_over_http, response
from tests.bot.kits.paradex import Paradex
from tests.bot.test_missing_fields_kits import lacking

Spoil = Callable[[], Exception | requests.Response]


def _redirected() -> requests.TooManyRedirects:
    return requests.TooManyRedirects("Exceeded 30 redirects.", response=response(302, ""))


def _aster(code: int) -> Spoil:
    return lambda: response(400, {"code": code, "msg": "words"})


def _paradex(code: str, status: int = 400) -> Spoil:
    return lambda: response(status, {"error": code, "message": "words"})


def _apex(code: int) -> Spoil:
    return lambda: response(200, {"code": code, "msg": "words", "timeCost": 500})


def _lighter(code: int, words: str, status: int = 400) -> Spoil:
    return lambda: response(status, {"code": code, "message": words})


def _backpack(code: str, words: str) -> Spoil:
    return lambda: response(400, {"code": code, "message": words})


CASES: dict[str, tuple[type[Kit], Spoil]] = {
    "redirected": (Aster, _redirected),
    "redirected, spot": (AsterSpot, _redirected),
    "not decompressed": (Aster, lambda: requests.exceptions.ContentDecodingError("incorrect header check")),
    "aster unknown": (Aster, _aster(-1000)),
    "aster unexpected": (Aster, _aster(-1006)),
    "aster timeout": (Aster, _aster(-1007)),
    "aster sent twice": (Aster, _aster(-4115)),
    "paradex internal": (Paradex, _paradex("INTERNAL_ERROR")),
    "paradex unavailable": (Paradex, _paradex("SERVICE_UNAVAILABLE", 200)),
    "paradex sent twice": (Paradex, _paradex("DUPLICATED_CLIENT_ID")),
    "a proxy that had no answer": (Backpack, lambda: response(499, "<html>499</html>")),
    "a proxy whose caller was gone": (Paradex, lambda: response(460, "")),
    "apex internal": (Apex, _apex(500)),
    "apex too many": (Apex, _apex(429)),
    # Unverified: the words of the last two are ours.
    "lighter sent twice": (Lighter, _lighter(21728, "client order index already exists")),
    "lighter internal": (Lighter, _lighter(29500, "internal server error", 200)),
    "backpack sent twice": (Backpack, _backpack("INVALID_ORDER", "Client ID is already used")),
    "apex sent twice": (
        Apex,
        lambda: response(200, {"code": 3, "msg": "", "key": "DUPLICATE_CLIENT_ORDER_ID"}),
    ),
}


def an_order() -> Order:
    return Order(7, "L1", Side.BUY, Decimal(149), Decimal("0.1"), ZERO, "new", 0.0)


@pytest.mark.parametrize("name", CASES)
def test_an_order_that_may_exist_is_not_taken_for_a_refused_one(name: str, tmp_path: Path) -> None:
    kind, spoil = CASES[name]
    kit = kind()
    answer_over_http(kit, spoil)
    with pytest.raises(UnreachableError):
        kit.adapter.place(an_order())
    assert len(kit.book.own_open()) == 1
    kit.book.cancel(kit.book.own_open()[0].id)
    answer_at_times(kit, spoil)
    run = Run(kit, tmp_path)
    run.walk(40)
    assert len(kit.book.fills) > 5
    run.end()


def answer_at_times(kit: Kit, spoil: Spoil) -> None:
    kit.api.fetch = None  # which `answer_over_http` ends
    answer_over_http(kit, lambda: spoil() if kit.random.random() < 0.3 else None)


def _page(status: int) -> Spoil:
    return lambda: response(status, f"<html><head><title>{status}</title></head><body>words</body></html>")


TAKEN = (
    "Duplicate order sent.",
    "ClientOrderId is duplicated.",
    "clientId 7 already exists",
    "CLIENT_ORDER_ID_EXISTS",
    "The client order ID has already been used",
    "client_order_index is not unique",
    "clOrdId is already in use",
    "Order already exists",
)


@pytest.mark.parametrize("words", TAKEN)
@pytest.mark.parametrize("kind", [Aster, Backpack, Apex, Lighter, Paradex])
def test_however_it_is_said_that_a_client_id_is_taken_the_order_may_exist(
    kind: type[Kit], words: str
) -> None:
    """Unverified: the words are ours, and the first ones Binance's, whose answers Aster's are like."""
    kit = kind()
    body = {"code": 3, "error": "WORDS", "msg": words, "message": words}
    answer_over_http(kit, lambda: response(400, body))
    with pytest.raises(UnreachableError):
        kit.adapter.place(an_order())


@pytest.mark.parametrize(
    "words", ["clientOrderId does not exist", "Client ID doesn't exist", "no number: client_id"]
)
def test_other_words_about_a_client_id_are_a_refusal(words: str) -> None:
    kit = Backpack()
    answer_over_http(kit, lambda: response(400, {"code": "INVALID_ORDER", "message": words}))
    with pytest.raises(RejectedError):
        kit.adapter.place(an_order())


PROXIES: dict[str, Spoil] = {
    "502": _page(502),
    "503": _page(503),
    "429": _page(429),
    "a page": _page(200),
    "empty": lambda: response(200, ""),
    "cut off": lambda: response(200, '{"results": [{"id": "1", "client_id'),
}


@pytest.mark.parametrize("call", ["create", "orders", "executions"])
@pytest.mark.parametrize("name", PROXIES)
def test_what_a_proxy_answers_is_neither_a_refusal_nor_an_empty_list(call: str, name: str) -> None:
    kit = Paradex()
    answer_over_http(kit, PROXIES[name], call)
    ask: dict[str, Callable[[], Any]] = {
        "create": lambda: kit.adapter.place(an_order()),
        "orders": kit.adapter.open_orders,
        "executions": lambda: kit.adapter.fills(kit.now - 60),
    }
    with pytest.raises(UnreachableError):
        ask[call]()


@pytest.mark.parametrize("call", ["create", "cancel", "orders", "executions"])
@pytest.mark.parametrize("name", PROXIES)
def test_what_a_proxy_answers_in_the_exchanges_place_says_nothing(
    call: str, name: str, tmp_path: Path
) -> None:
    kit, spoilt = Paradex(seed=5), list[str]()

    def spoil() -> requests.Response | Exception | None:
        if len(spoilt) >= 3 if call == "cancel" else kit.random.random() > 0.3:
            return None
        spoilt.append(name)
        return PROXIES[name]()

    answer_over_http(kit, spoil, call)
    run = Run(kit, tmp_path)
    run.walk(30)
    assert len(kit.book.fills) > 3
    assert cancel_own_orders(run.store, kit.adapter, run.market, 300.0, lambda _seconds: None) == (0, True)
    assert kit.book.own_open() == []
    assert spoilt
    kit.api.fetch = None
    answer_over_http(kit, lambda: None)
    run.end()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Apex, {"code": 3, "msg": "words", "key": "ORDER_PRICE_MUST_GREETER_ZERO"}),
        (Apex, {"code": 3, "msg": "words", "key": "CLIENT_ORDER_ID_TOO_LONG"}),
        (Aster, {"code": -1111, "msg": "precision"}),
        (Aster, {"code": -2025, "msg": "Reach max open order limit."}),
        (Backpack, {"code": "INVALID_CLIENT_REQUEST", "message": "Client ID is no number"}),
        (Aster, {"code": -2010, "msg": "limit is 100 -10000"}),
        (Paradex, {"error": "INVALID_ORDER_SIZE", "message": "words"}),
    ],
)
def test_a_refusal_stays_one(kind: type[Kit], body: dict[str, Any]) -> None:
    kit = kind()
    answer_over_http(kit, lambda: response(400, body))
    with pytest.raises(RejectedError):
        kit.adapter.place(an_order())


def test_keys_that_are_refused_by_code_alone_are_refused_keys() -> None:
    kit = Apex()
    answer_over_http(kit, lambda: response(200, {"code": 20006, "msg": "words"}))
    with pytest.raises(UnauthorizedError):
        kit.adapter.place(an_order())


@pytest.mark.parametrize("kind", [Apex, Aster, Backpack, Lighter, Paradex])
def test_markets_that_are_loaded_already_need_no_answer(kind: type[Kit]) -> None:
    """The answer to the call before may have been no JSON, as Backpack's time is a bare number."""
    kit = kind()
    kit.api.last_json_response = None
    assert kit.adapter.market() == kind().adapter.market()


IDS = ("id", "orderId")


@pytest.mark.parametrize("kind", [Apex, Aster, AsterSpot, Backpack, Paradex])
@pytest.mark.parametrize(
    "value", [None, "", "None", "null", "undefined", 0, "0", "0.0", 0.0, "NaN", "inf", True, [], {"id": "1"}]
)
def test_an_order_that_is_answered_with_what_is_no_id_may_exist(kind: type[Kit], value: Any) -> None:
    kit = kind()
    whole = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = whole(path, method, params)
        is_order = kit.is_write(path, method) and not kit.is_cancel(path, params, method)
        return lacking(reply, IDS, value) if is_order else reply

    kit.answer = answer  # type: ignore[method-assign]
    with pytest.raises(UnreachableError, match="without an id"):
        kit.adapter.place(an_order())
    assert len(kit.book.own_open()) == 1
    kit.answer = whole  # type: ignore[method-assign]
    assert [row.exchange_id for row in kit.adapter.open_orders() if row.client_id == 7] == [
        kit.book.own_open()[0].id
    ]


@pytest.mark.parametrize("kind", [Apex, Aster, Backpack, Lighter, Paradex])
@pytest.mark.parametrize("value", ["None", 0, "0.0", 0.0, "NaN", "inf", True, ["7"]])
def test_an_execution_with_what_is_no_id_is_not_booked_under_it(kind: type[Kit], value: Any) -> None:
    """The next one with none would be taken for the same."""
    kit = kind()
    kit.book.place("Bid", "Market", None, kit.book.lot, 7)
    for names in (("orderId", "order_id", "bid_id"), ("id", "tradeId", "trade_id")):
        kit.spoilt["executions"] = partial(lacking, names=names, value=value)
        [fill] = kit.adapter.fills(kit.now - 60)
        assert isinstance(fill, UnreadableFill)


def _answer_with(kit: Kit, ids: Iterator[str]) -> None:
    """Have new orders answered with these ids."""
    whole = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = whole(path, method, params)
        is_order = kit.is_write(path, method) and not kit.is_cancel(path, params, method)
        return lacking(reply, IDS, next(ids)) if is_order else reply

    kit.answer = answer  # type: ignore[method-assign]


NAMING = [Apex, Aster, AsterSpot, Backpack, Paradex]


@pytest.mark.parametrize("kind", NAMING)
def test_an_order_that_is_listed_under_another_id_than_was_answered_is_not_doubled(
    kind: type[Kit], tmp_path: Path
) -> None:
    """As where an answer has the id of the request, or of a shard: it was given up, and placed again."""
    kit = kind()
    _answer_with(kit, map(str, count(4_100_000)))
    run = Run(kit, tmp_path)
    for _ in range(8):
        run.tick(61.0)  # no level has two orders
    assert {order.exchange_id for order in run.store.live_orders()} == {one.id for one in kit.book.own_open()}
    run.walk(30)
    assert len(kit.book.fills) > 3
    run.end()


@pytest.mark.parametrize("seed", [2, 6])
@pytest.mark.parametrize("kind", NAMING)
def test_an_order_that_is_filled_under_another_id_than_was_answered_is_booked(
    kind: type[Kit], seed: int, tmp_path: Path
) -> None:
    """It was nobody's, and the position went beyond its limit by it."""
    kit = kind(seed=seed)
    run = Run(kit, tmp_path)
    run.tick()
    _answer_with(kit, repeat("4444"))
    run.walk(40)
    assert len(kit.book.fills) > 3
    run.end()
