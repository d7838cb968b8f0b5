"""The known answers have the shape of the kits' cited ones; what is known from ccxt alone says so."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import answer_check, verification
from gridbot.model.types import ZERO, Order, Side
from tests.bot.kits.kit import Kit, Refusal
from tests.bot.kits.lighter import Lighter
from tests.bot.test_answer_check import _is_alike, settings_of
from tests.bot.test_funding_kits import BEGAN, paid
from tests.bot.test_kits import KITS
from tests.bot.test_largest_order import MARKETS
from tests.fake_exchange.book import RefusalError

Given = Mapping[str, list[Any]]
# What tells of a further page, which the kits' lists are too short for.
PAGES = {"next", "next_cursor"}
# Lists of currencies, which the bot has no use for.
UNREAD = {"api/v1/assets", "api/v1/securities", "assetDetails"}
# docs.backpack.exchange, `ApiErrorCode`; the message is the fake exchange's.
CLOCK = {"code": "INVALID_CLIENT_REQUEST", "message": "Request has expired"}
# github.com/asterdex/api-docs, futures V3, "Error Codes", 2026-06-30: UNKNOWN, UNEXPECTED_RESP.
OPEN = {"aster": {(400, -1000), (400, -1006)}}
each_kit = pytest.mark.parametrize("kind", KITS, ids=lambda kind: kind.__name__)


def _cases_of(kind: type[Kit]) -> list[dict[str, Any]]:
    market = "perp" if kind.perp else "spot"
    cases: list[dict[str, Any]] = answer_check.load(settings_of(kind.name, market))["cases"]
    return cases


@each_kit
def test_the_kits_answer_in_the_shape_of_the_known_answers(kind: type[Kit]) -> None:
    given = _answers_of(kind)
    for case in _cases_of(kind):
        for path, answer in _answered(case):
            assert any(_is_alike(answer, one) for one in given[path]), (path, answer, given[path])


@each_kit
def test_the_kits_refuse_in_the_words_of_the_known_refusals(kind: type[Kit]) -> None:
    kit = kind()
    of_kit = [*kit.refusals.values(), kit.refusal(RefusalError("RESOURCE_NOT_FOUND", "Order not found", 404))]
    if kind.name == "aster":
        of_kit.append(kit.refusal(RefusalError("CANCEL_REJECTED", "Unknown order sent.")))
    if kind.name == "backpack":
        of_kit.append(Refusal(400, CLOCK))
    known = {(refusal.status, _code(refusal.body)) for refusal in of_kit} | OPEN.get(kind.name, set())
    all_refusals = [(case, one) for case in _cases_of(kind) for one in case.get("refused", {}).values()]
    # A gateway's page is no exchange's word.
    refusals = [(case, one) for case, one in all_refusals if not isinstance(one["body"], str)]
    assert refusals
    for case, refusal in refusals:
        is_unverified = "unverified" in case.get("source", "")
        assert is_unverified or (refusal["status"], _code(refusal["body"])) in known, refusal


@each_kit
def test_what_is_known_from_ccxt_alone_needs_consent(kind: type[Kit]) -> None:
    if any("unverified" in case.get("source", "") for case in _cases_of(kind)):
        table = verification.table()[kind.name]["perp" if kind.perp else "spot"]
        assert table["unverified"]


def _code(body: Mapping[str, Any]) -> Any:
    return body.get("key") or body.get("error") or body.get("code")


def _answered(case: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give each path and what is answered there, without what tells of further pages."""
    yield from ((path, answer) for path, answer in case.get("given", {}).items() if path not in UNREAD)
    for path, answers in case.get("pages", {}).items():
        yield from ((path, _without_next(answer)) for answer in answers)


def _without_next(answer: Any) -> Any:
    if not isinstance(answer, dict):
        return answer
    return {key: value for key, value in answer.items() if key not in PAGES}


def _answers_of(kind: type[Kit]) -> Given:
    """Return what a kit answers, by path, to a bot that has orders, open and ended, and a position."""
    kit, given = kind(lot=Decimal("0.01")), defaultdict[str, list[Any]](list)
    _keep_answers(kit, given)
    orders = [
        Order(number, "L1", side, Decimal(price), Decimal("0.9"), ZERO, "new", 0.0, post_only=True)
        for number, side, price in ((5001, Side.BUY, "149"), (5002, Side.SELL, "151"))
    ]
    for order in orders:
        kit.adapter.place(order)
    kit.book.partial_fills = 1.0
    kit.book.move(Decimal(149))
    kit.adapter.open_orders()
    kit.book.cancel(_id_of(kit, 5001))
    kit.book.cancel(_id_of(kit, 5002))
    list(kit.adapter.find(orders))
    kit.adapter.fills(kit.now - 60)
    kit.adapter.position()
    kit.adapter.holdings()
    _cancel_and_look(kit)
    if kind.perp and kind is not Lighter:
        payers = paid(kind, [(BEGAN, "-0.5"), (BEGAN + 3600, "0.25")])
        _keep_answers(payers, given)
        payers.adapter.funding(BEGAN)
    # Backpack's spot markets have the same fields as its perpetuals.
    source = next(one for one in kind.__mro__ if one in MARKETS)
    for case in _cases_of(kind):
        if case["call"] == "market":
            given[list(case["given"])[-1]].append(MARKETS[source])
    return given


def _keep_answers(kit: Kit, given: dict[str, list[Any]]) -> None:
    carry_out = kit.answer

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        reply = carry_out(path, method, params)
        given[path].append(copy.deepcopy(reply))  # ccxt writes into some
        given[path].append(_without_next(copy.deepcopy(reply)))
        return reply

    kit.answer = answer  # type: ignore[method-assign]


def _cancel_and_look(kit: Kit) -> None:
    """Cancel one order, several of which one has ended, and all; look at prices and the account's mode."""
    kit.book.exclusive = True
    for number, price in ((5011, "140"), (5012, "141"), (5013, "142"), (5014, "143")):
        kit.adapter.place(
            Order(number, "L1", Side.BUY, Decimal(price), Decimal("0.9"), ZERO, "new", 0.0, post_only=True)
        )
    own = [order for order in kit.adapter.open_orders() if order.client_id in range(5011, 5014)]
    assert len(own) == 3
    list(kit.adapter.find([Order(5011, "L1", Side.BUY, Decimal(140), Decimal("0.9"), ZERO, "new", 0.0)]))
    first, second, third = (
        Order(0, "L1", Side.BUY, ZERO, ZERO, ZERO, "open", 0.0, exchange_id=order.exchange_id)
        for order in own
    )
    kit.adapter.cancel(first)
    if kit.adapter.most_in_batch > 1:
        kit.book.cancel(str(second.exchange_id))
        kit.adapter.cancel_batch([second, third])
    kit.adapter.cancel_all()
    kit.adapter.price()
    kit.adapter.mark_price()
    if kit.perp:
        kit.adapter.is_hedged()
    kit.adapter._api.fetch_order_book(kit.adapter.market_symbol)


def _id_of(kit: Kit, client_id: int) -> str:
    return next(one.id for one in kit.book.orders.values() if one.client_id == client_id)
