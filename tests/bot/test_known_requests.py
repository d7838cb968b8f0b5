"""What ccxt sends for each call is known as a whole: another field, number or request refuses live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gridbot.exchanges import ccxt_client
from gridbot.exchanges.venues import VENUES
from gridbot.exchanges.verification import require_verified
from tests.bot.test_answer_check import LIVE, MARKETS, settings_of
from tests.bot.test_known_calls import BATCHED, PERPS, Market, require_refused

Change = Callable[[dict[str, Any]], None]
# What the exchanges call a price and a quantity.
PRICES, AMOUNTS = ("price", "avg_execution_price"), ("quantity", "size", "base_amount")


def is_order(method: str, params: Mapping[str, Any]) -> bool:
    return method == "POST" and bool({"side", "is_ask"} & _signed_part(params).keys())


def is_act(method: str, _: Mapping[str, Any]) -> bool:
    return method != "GET"


def _signed_part(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says: lighter's is signed as a whole."""
    part: Any = params.get("tx_info", params)
    return dict(part)


def send_otherwise(
    patch: pytest.MonkeyPatch,
    exchange: str,
    change: Change,
    of: Callable[[str, Mapping[str, Any]], bool] = is_order,
) -> None:
    """Have ccxt's class change what it sends."""
    ccxt_class = ccxt_client.load(exchange)
    own = ccxt_class.fetch2

    def fetch(
        self: Any,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        sent = dict(params or {})
        if of(method, sent):
            part = _signed_part(sent)
            change(part)
            sent = {**sent, "tx_info": part} if "tx_info" in sent else part
        return own(self, path, api, method, sent, *more, **named)

    patch.setattr(ccxt_class, "fetch2", fetch)


def _put(name: str, value: Any) -> Change:
    return lambda params: params.update({name: value})


def _written(names: tuple[str, ...], write: Callable[[Any], Any]) -> Change:
    return lambda params: params.update({name: write(params[name]) for name in names if name in params})


ORDERS: dict[str, Change] = {
    "waits for a price": _put("triggerPrice", "1"),
    "closes everything": _put("closePosition", "true"),
    "is of one side of a hedged account": _put("positionSide", "LONG"),
    "pays somebody else": _put("builder", "0x1"),
    "borrows": _put("autoBorrow", True),
    "has its price as a number": _written(PRICES, float),
    "has its quantity as a number": _written(AMOUNTS, float),
    "has an exponent in its price": _written(PRICES, lambda value: f"{float(value):.4e}"),
    "has an exponent in its quantity": _written(AMOUNTS, lambda value: f"{float(value):.4e}"),
}


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("change", ORDERS)
def test_an_order_with_anything_else_in_it_refuses_live(
    change: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_otherwise(monkeypatch, market[0], ORDERS[change])
    require_refused(market, "an? (new order|sale|purchase|order).*: sent ")


@pytest.mark.parametrize("market", MARKETS)
def test_a_cancellation_with_anything_else_in_it_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more(params: dict[str, Any]) -> None:
        params["allMarkets"] = True

    send_otherwise(monkeypatch, market[0], more, lambda *of: is_act(*of) and not is_order(*of))
    require_refused(market, "cancel.*: sent allMarkets is True, and nothing of the kind may be sent")


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("is_doubled", [is_order, lambda *of: is_act(*of) and not is_order(*of)])
def test_a_request_that_is_sent_twice_refuses_live(
    market: Market,
    is_doubled: Callable[[str, Mapping[str, Any]], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.fetch2

    def fetch(
        self: Any,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        if is_doubled(method, params or {}):
            own(self, path, api, method, dict(params or {}), *more, **named)
        return own(self, path, api, method, dict(params or {}), *more, **named)

    monkeypatch.setattr(ccxt_class, "fetch2", fetch)
    require_refused(market, "2 requests are sent instead of 1")


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_that_is_tried_again_by_ccxt_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    described = ccxt_class.describe

    def describe(self: Any) -> Any:
        own = described(self)
        options = {**own.get("options", {}), "maxRetriesOnFailure": 1, "maxRetriesOnFailureDelay": 0}
        return {**own, "options": options}

    monkeypatch.setattr(ccxt_class, "describe", describe)
    require_refused(market, "2 requests are sent instead of 1")


# one side or one kind of orders


def _of(side: str | None, kind: str | None, change: Callable[[list[Any]], None]) -> Callable[..., list[Any]]:
    def changed(terms: tuple[Any, ...]) -> list[Any]:
        now = [*terms[:5], dict(terms[5])]
        if side in (None, terms[2]) and kind in (None, terms[1]):
            change(now)
        return now

    return changed


def _drop(name: str) -> Callable[[list[Any]], None]:
    return lambda terms: terms[5].pop(name, None)


def _drop_where_it_opens(terms: list[Any]) -> None:
    if "reduceOnly" not in terms[5]:
        terms[5].pop("postOnly", None)


def _sell(terms: list[Any]) -> None:
    terms[2] = "sell"


TERMS: list[tuple[str, Callable[..., list[Any]], list[Market]]] = [
    ("a sale without postOnly", _of("sell", None, _drop("postOnly")), MARKETS),
    ("a sale without reduceOnly", _of("sell", "limit", _drop("reduceOnly")), PERPS),
    ("an entry without postOnly", _of(None, None, _drop_where_it_opens), MARKETS),
    ("a purchase at the market that sells", _of("buy", "market", _sell), MARKETS),
    ("a purchase that rests", _of("buy", None, _drop("timeInForce")), PERPS),
]


@pytest.mark.parametrize(
    ("change", "market"),
    [
        pytest.param(change, market, id=f"{name}-{'-'.join(market)}")
        for name, change, markets in TERMS
        for market in markets
    ],
)
def test_one_side_that_is_sent_otherwise_refuses_live(
    change: Callable[..., list[Any]], market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.create_order
    monkeypatch.setattr(ccxt_class, "create_order", lambda self, *terms: own(self, *change(terms)))
    require_refused(market, "an? (sale|purchase|market order|order|new order)")


# numbers that are rounded


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("write", ["{:g}", "{:.1f}", "{:.0f}"])
def test_an_amount_that_is_rounded_refuses_live(
    write: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    monkeypatch.setattr(ccxt_class, "amount_to_precision", lambda _, __, value: write.format(float(value)))
    require_refused(market, "order|sale")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] != "lighter"])
@pytest.mark.parametrize("write", ["{}", "{:g}", "{:.1f}", "{:.2f}"])
def test_a_price_that_is_rounded_refuses_live(
    write: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lighter's are whole numbers of ticks."""
    ccxt_class = ccxt_client.load(market[0])
    monkeypatch.setattr(ccxt_class, "price_to_precision", lambda _, __, value: write.format(float(value)))
    require_refused(market, "order|sale")


# what is asked for


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] != "apex"])
def test_a_list_that_is_asked_of_another_market_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apex is asked for all of the account's."""

    def elsewhere(params: dict[str, Any]) -> None:
        params.update({name: "X" for name in ("symbol", "market", "market_id") if name in params})

    send_otherwise(monkeypatch, market[0], elsewhere, lambda method, _: method == "GET")
    require_refused(market, "sent (symbol|market|market_id) is X instead of ")


@pytest.mark.parametrize("market", MARKETS)
def test_a_page_of_fewer_rows_than_are_counted_on_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fewer(params: dict[str, Any]) -> None:
        params.update({name: 1 for name in ("limit", "page_size") if name in params})

    send_otherwise(monkeypatch, market[0], fewer, lambda method, _: method == "GET")
    require_refused(market, "sent (limit|page_size) is 1 instead of ")


BY_CLIENT_ID = [one for one in MARKETS if VENUES[one[0]].lookup == "client_id"]


@pytest.mark.parametrize("market", BY_CLIENT_ID)
def test_an_order_whose_answer_was_lost_and_is_asked_for_by_no_name_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.fetch_order
    monkeypatch.setattr(ccxt_class, "fetch_order", lambda self, id_, symbol, _: own(self, id_, symbol))
    require_refused(market, "an order whose own answer was lost")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] in ("aster", "backpack")])
@pytest.mark.parametrize("name", ["fetch_open_orders", "fetch_my_trades"])
def test_a_list_without_its_last_row_refuses_live(
    name: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' rows are counted in the exchange's own answer."""
    ccxt_class = ccxt_client.load(market[0])
    own = getattr(ccxt_class, name)
    monkeypatch.setattr(ccxt_class, name, lambda self, *terms: own(self, *terms)[:-1])
    require_refused(market, "rows instead of")


@pytest.mark.parametrize("market", MARKETS)
def test_a_book_that_begins_with_the_worst_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.parse_order_book

    def worst_first(self: Any, *terms: Any, **named: Any) -> Any:
        book = own(self, *terms, **named)
        return {**book, "bids": book["bids"][::-1], "asks": book["asks"][::-1]}

    monkeypatch.setattr(ccxt_class, "parse_order_book", worst_first)
    require_refused(market, "the order book: mark is ")


# what is no answer


@pytest.mark.parametrize("market", MARKETS)
def test_a_gateways_page_that_is_taken_for_an_answer_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_client.load(market[0]), "handle_http_status_code", lambda *_: None)
    require_refused(market, "a gateway's page|refusal")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] == "lighter"])
def test_a_cancellation_of_all_that_is_not_of_this_market_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_all(params: dict[str, Any]) -> None:
        params.pop("cancel_all_market_index", None)

    send_otherwise(monkeypatch, market[0], of_all, is_act)
    require_refused(market, "of all: sent cancel_all_market_index is None instead of 2")


@pytest.mark.parametrize("market", MARKETS)
def test_a_ccxt_that_cancels_all_of_every_market_is_told_the_market(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lighter's up to 4.5.85 does not: those start, and cancel no other market's orders."""
    ccxt_class = ccxt_client.load(market[0])
    own = ccxt_class.cancel_all_orders

    def forgetful(self: Any, _symbol: str | None = None, params: Any = None) -> Any:
        return own(self, None, params or {})

    monkeypatch.setattr(ccxt_class, "cancel_all_orders", forgetful)
    if market[0] == "lighter":
        require_verified(settings_of(*market), LIVE, listens=False)
    else:
        require_refused(market, "the cancellation of all|any answer")


def test_the_batches_are_of_the_orders_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for market in BATCHED:
        send_otherwise(monkeypatch, market[0], _put("client_order_ids", ["1"]), is_act)
        require_refused(market, "sent client_order_ids")
