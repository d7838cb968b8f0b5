"""Each call that the bot makes is held by a known answer: broken, it refuses live in one line."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import ccxt_client, ccxt_errors, stream, venues
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.answers import Page
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.exchanges.closing import CcxtClosing
from gridbot.exchanges.venues import VENUES
from gridbot.exchanges.verification import require_verified
from gridbot.model.errors import ConfigError, ExchangeError, RejectedError
from tests.bot.test_answer_check import LIVE, MARKETS, settings_of

Market = tuple[str, str]
PERPS = [market for market in MARKETS if market[1] == "perp"]
SPOTS = [market for market in MARKETS if market[1] == "spot"]
FUNDED = [market for market in PERPS if market[0] != "lighter"]
MARKED = [market for market in PERPS if market[0] in ("aster", "backpack", "paradex")]
UNLIKE_BACKPACK = [market for market in MARKETS if market[0] != "backpack"]
BATCHED = [("aster", "perp"), ("paradex", "perp")]
ENDED = "an order that ended because it may not take: "
"""The first known answer that paradex's refusals decide: it looks up what became of an order."""


def require_refused(market: Market, of: str = "") -> None:
    """Check that one line refuses live on the market, and says that it is about `of`."""
    exchange, kind = market
    match = f"^live trading on {exchange} {kind} is refused: with ccxt .*{of}.*"
    with pytest.raises(ConfigError, match=match) as raised:
        require_verified(settings_of(*market), LIVE, listens=False)
    assert "\n" not in str(raised.value)


# the adapter's own methods

METHODS: list[tuple[type[Any], str, Callable[..., Any], list[Market], str]] = [
    (CcxtExchange, "place", lambda *_: "4711", MARKETS, "a new order"),
    (CcxtExchange, "cancel", lambda *_: None, MARKETS, "a cancellation"),
    (CcxtExchange, "cancel_batch", lambda *_: None, BATCHED, "the cancellation of several orders"),
    (CcxtExchange, "cancel_all", lambda *_: None, MARKETS, "the cancellation of all"),
    (CcxtExchange, "cancel_all_after", lambda *_: None, [("lighter", "perp")], "after a while"),
    (CcxtExchange, "price", lambda *_: Decimal(150), MARKETS, "the price"),
    (CcxtExchange, "mark_price", lambda *_: None, MARKETS, "the (mark price|order book)"),
    (CcxtExchange, "open_orders", lambda *_: [], MARKETS, "an open order"),
    (CcxtExchange, "find", lambda _, orders: iter(()), MARKETS, "order"),
    (CcxtExchange, "fills", lambda *_: [], MARKETS, "executions"),
    (CcxtExchange, "funding", lambda *_: [], FUNDED, "funding payments"),
    (CcxtExchange, "position", lambda *_: Decimal(0), PERPS, "a long position"),
    (CcxtExchange, "is_hedged", lambda *_: False, PERPS, "the account's mode|positions"),
    (CcxtExchange, "is_hedged", lambda *_: True, PERPS, "the account's mode|positions"),
    (CcxtExchange, "holdings", lambda *_: Decimal(0), SPOTS, "balance|holdings|coins"),
    (CcxtExchange, "_client_id", lambda *_: "1", MARKETS, "a new order"),
    (CcxtExchange, "_orders", lambda *_: [], MARKETS, "an open order"),
    (CcxtClosing, "held", lambda *_: Decimal(0), SPOTS, "what can be sold"),
    (CcxtClosing, "_order_params", lambda *_: {}, MARKETS, "an order that never rests"),
]


@pytest.mark.parametrize(
    ("owner", "name", "broken", "market", "of"),
    [
        pytest.param(owner, name, broken, market, of, id=f"{name}-{'-'.join(market)}")
        for owner, name, broken, markets, of in METHODS
        for market in markets
    ],
)
def test_a_broken_method_of_the_adapter_refuses_live(
    owner: type[Any],
    name: str,
    broken: Callable[..., Any],
    market: Market,
    of: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, name, broken)
    require_refused(market, of)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("field", ["tick", "lot", "min_qty", "base", "quote", "perp"])
def test_a_rule_of_the_market_that_is_read_wrongly_refuses_live(
    market: Market, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = CcxtExchange.market

    def misread(self: CcxtExchange) -> Any:
        rules = read(self)
        wrong: dict[type, Any] = {Decimal: Decimal(7), bool: not rules.perp, str: "X"}
        return replace(rules, **{field: wrong[type(getattr(rules, field))]})

    monkeypatch.setattr(CcxtExchange, "market", misread)
    require_refused(market, f"the market's rules: {field} is ")


# the exchange's own readers

READING: list[tuple[str, Callable[..., Any], list[Market], str]] = [
    ("next_page", lambda *_: None, MARKETS, "the next page of executions"),
    ("next_funding", lambda *_: None, [("aster", "perp")], "funding payments and their next page"),
    ("next_history", lambda *_: None, [("lighter", "perp")], "on the next page of the history"),
    ("_late_refusal", lambda *_: None, [("lighter", "perp"), ("paradex", "perp")], "then refused"),
    ("payment", lambda *_: None, FUNDED, "funding payments"),
    # Of backpack's refusals it has no part.
    ("is_ended_order", lambda *_, **__: False, UNLIKE_BACKPACK, "the refusal to cancel"),
    ("is_ended_order", lambda *_, **__: True, MARKETS, "the refusal of a cancellation"),
    ("is_hedged", lambda *_: False, PERPS, "positions"),
    ("cause_of", lambda *_: None, [("apex", "perp"), ("lighter", "perp"), ("paradex", "perp")], "refusal"),
    ("is_missing_order", lambda *_: False, [("paradex", "perp")], ENDED),
    # The lists of the others begin with the newest, whatever is asked for.
    ("first_page", lambda *_: Page(0), [m for m in MARKETS if m[0] not in ("lighter", "apex")], "executions"),
]


@pytest.mark.parametrize(
    ("name", "broken", "market", "of"),
    [
        pytest.param(name, broken, market, of, id=f"{name}-{'-'.join(market)}")
        for name, broken, markets, of in READING
        for market in markets
    ],
)
def test_a_broken_reader_of_what_is_answered_refuses_live(
    name: str, broken: Callable[..., Any], market: Market, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READERS[market[0]], name, broken)
    require_refused(market, of)


# errors


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(
    "error",
    [RejectedError("no", cause="other"), ExchangeError("no"), RejectedError("no", cause="unauthorized")],
)
def test_errors_that_are_taken_for_one_another_refuse_live(
    market: Market, error: ExchangeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_errors, "translated", lambda *_: error)
    require_refused(market, "error|refus")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] in ("aster", "backpack")])
def test_a_clock_that_is_not_doubted_refuses_live(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_errors, "may_be_of_clock", lambda _: False)
    require_refused(market, "for its time: doubts_clock is False")


@pytest.mark.parametrize("market", UNLIKE_BACKPACK)
def test_an_unclear_outcome_that_is_taken_for_a_refusal_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_errors, "_has_refused", lambda *_: True)
    monkeypatch.setattr(READERS[market[0]], "unknown_outcomes", ())
    require_refused(market, "leaves open what became of an order")


@pytest.mark.parametrize("market", [one for one in MARKETS if READERS[one[0]].unknown_outcomes])
def test_words_that_leave_an_outcome_open_and_are_not_known_refuse_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the status is: most of them come with one that refuses."""
    monkeypatch.setattr(READERS[market[0]], "unknown_outcomes", ())
    require_refused(
        market, "an error of its own that leaves open what became of an order: error is RejectedError"
    )


@pytest.mark.parametrize("market", MARKETS)
def test_a_client_id_that_is_taken_and_is_read_as_a_refusal_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order exists, as the first of two requests with one id."""
    monkeypatch.setattr(ccxt_errors, "_says_taken", lambda _: False)
    known = READERS[market[0]].unknown_outcomes
    of_orders = tuple(word for word in known if word not in ("21728", "DUPLICATED_CLIENT_ID"))
    monkeypatch.setattr(READERS[market[0]], "unknown_outcomes", of_orders)
    # Which ccxt's aster raises.
    monkeypatch.setattr(importlib.import_module("ccxt.base.errors"), "DuplicateOrderId", NotImplementedError)
    require_refused(market, "the refusal of a client id that is taken: error is RejectedError")


@pytest.mark.parametrize("market", MARKETS)
def test_a_ccxt_that_raises_nothing_for_a_refusal_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_client.load(market[0]), "handle_errors", lambda *_: None)
    monkeypatch.setattr(ccxt_client.load(market[0]), "handle_http_status_code", lambda *_: None)
    require_refused(market, ENDED if market == ("paradex", "perp") else "refusal")


# numbers of requests


LIGHTER = ("lighter", "perp")


@pytest.mark.parametrize("is_used", [False, True])
def test_a_used_number_that_is_not_known_again_refuses_live(
    is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READERS["lighter"], "is_used_nonce", lambda *_: is_used)
    require_refused(LIGHTER, "whose number another program had used|4 requests are sent instead of 1")


def test_a_number_that_is_sent_twice_refuses_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_client.load("lighter"), "fetch_nonce", lambda *_: 7)
    require_refused(LIGHTER, "an order whose number another program had used: sent nonce is 7 again")


# what ccxt sends


def _term(position: int, change: Callable[[Any], Any]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what changes one of the terms of a new order: symbol, type, side, amount, price, more."""
    return lambda terms: (*terms[:position], change(terms[position]), *terms[position + 1 :])


def _without(name: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return _term(5, lambda more: {key: value for key, value in more.items() if key != name})


TERMS = {
    "type": _term(1, lambda kind: {"market": "limit"}.get(kind, "market")),
    "side": _term(2, lambda side: "sell" if side == "buy" else "buy"),
    "amount": _term(3, lambda amount: amount * 10),
    "price": _term(4, lambda price: price * 2),
    "postOnly": _without("postOnly"),
    "reduceOnly": _without("reduceOnly"),
    "clientOrderId": _without("clientOrderId"),
    "timeInForce": _without("timeInForce"),
    "reduceOnly for all": _term(5, lambda more: {**more, "reduceOnly": True}),
}


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("term", TERMS)
def test_a_ccxt_that_sends_another_order_refuses_live(
    market: Market, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if term.startswith("reduceOnly") and market[1] == "spot":
        return  # a spot market has none
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.create_order
    monkeypatch.setattr(ccxt_class, "create_order", lambda self, *terms: own(self, *TERMS[term](terms)))
    require_refused(market, "order|sale")


def _another(terms: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a cancellation's terms with other orders."""
    return (terms[0][:1] if isinstance(terms[0], list) else "9", *terms[1:])


@pytest.mark.parametrize(
    ("name", "market"),
    [("cancel_order", market) for market in MARKETS] + [("cancel_orders", market) for market in BATCHED],
)
def test_a_ccxt_that_cancels_something_else_refuses_live(
    name: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = getattr(ccxt_class, name)
    monkeypatch.setattr(ccxt_class, name, lambda self, *terms: own(self, *_another(terms)))
    require_refused(market, "cancel.*: sent ")


@pytest.mark.parametrize("market", BATCHED)
def test_a_batch_of_more_than_the_exchange_takes_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = replace(VENUES[market[0]], most_in_batch=500)
    monkeypatch.setattr(venues, "VENUES", {**VENUES, market[0]: venue})
    require_refused(market, "several orders: most_in_batch is 500")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] == "aster"])
def test_an_order_that_is_sent_to_the_other_kind_of_market_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load("aster")
    own = ccxt_class.request
    sections = {"fapiPrivate": "sapiPrivate", "sapiPrivate": "fapiPrivate"}

    def elsewhere(self: Any, path: str, api: Any = "public", *more: Any, **named: Any) -> Any:
        section = api[0] if isinstance(api, list) else api
        return own(self, path, sections.get(section, section), *more, **named)

    monkeypatch.setattr(ccxt_class, "request", elsewhere)
    require_refused(market, "sent in is ")


# what ccxt reads

PARSERS: list[tuple[str, Callable[[Any], Any], list[Market], str]] = [
    ("parse_ticker", lambda row: row | {"last": 1, "markPrice": None}, MARKETS, "the price"),
    ("parse_order_book", lambda row: row | {"bids": row["bids"][1:]}, MARKETS, "the order book"),
    ("fetch_funding_rate", lambda rate: rate | {"markPrice": 1}, MARKED, "the mark price"),
    (
        "fetch_funding_history",
        lambda rows: [row | {"amount": -row["amount"]} for row in rows],
        FUNDED,
        "funding payments",
    ),
]


@pytest.mark.parametrize(
    ("name", "change", "market", "of"),
    [
        pytest.param(name, change, market, of, id=f"{name}-{'-'.join(market)}")
        for name, change, markets, of in PARSERS
        for market in markets
    ],
)
def test_a_ccxt_that_reads_prices_otherwise_refuses_live(
    name: str, change: Callable[[Any], Any], market: Market, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = getattr(ccxt_class, name)
    monkeypatch.setattr(ccxt_class, name, lambda self, *terms, **named: change(own(self, *terms, **named)))
    require_refused(market, of)


# a ccxt whose socket does not tell of fills


def test_a_ccxt_that_is_not_told_of_fills_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paradex's up to 4.5.87: they are seen at the next tick."""
    ccxt_class = stream._load("paradex")
    monkeypatch.delattr(ccxt_class, "watch_my_trades")
    monkeypatch.setattr(ccxt_class, "handle_message", lambda *_: None)
    require_verified(settings_of("paradex"), LIVE)
    assert not stream.tells_of_fills("paradex", ccxt_class())
    waker = stream.FillStream("paradex", {"walletAddress": "0x1", "privateKey": "1"}, "", lambda: None, {})
    waker._run({}, "SOL/USD:USDC")  # and is not opened again and again
    assert not waker._listens
