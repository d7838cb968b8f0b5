"""What the adapter makes of each exchange's own shapes, through ccxt's class. Only its fetch is replaced.

Unverified, all of them: the shapes are known from ccxt 4.5.90's parsers and comments, not from the exchanges'
own documents, and no order of this bot was sent to any of these exchanges.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges import venues
from gridbot.exchanges.answer_readers import READERS
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ConfigError, KeysError, UnreachableError
from gridbot.model.types import ExchangeOrder, Fill, Order, Side, UnreadableFill
from tests.bot.bots import GRID

D = Decimal
KEY = "0x" + "1" * 64
KEYS = {
    "apex": {"apiKey": "k", "secret": "s", "password": "p", "options.seeds": "1"},
    "paradex": {"walletAddress": "0x1", "privateKey": KEY},
    "lighter": {"privateKey": "1", "options.accountIndex": "1077", "options.apiKeyIndex": "2"},
    "aster": {"privateKey": KEY},
    "backpack": {"apiKey": "k", "secret": "A" * 43 + "="},
}
IDS = {
    "apex": "SOL-USDT",
    "paradex": "SOL-USD-PERP",
    "lighter": "2",
    "aster": "SOLUSDT",
    "backpack": "SOL_USDC_PERP",
}
# contractSize: ccxt's apex takes the smallest order for it.
CONTRACT = {"apex": D("0.1")}


class World:
    """An adapter with one market, and the answers that ccxt's methods get from their transport."""

    def __init__(self, name: str) -> None:
        settings = args.parse([name if word == "backpack" else word for word in GRID], {})
        self.adapter = CcxtExchange(settings, KEYS[name], {})
        api = self.api = self.adapter._api
        quote = "USDC" if name in ("backpack", "lighter", "paradex") else "USDT"
        base = api.safe_market_structure(
            {
                "id": IDS[name],
                "id2": IDS[name].replace("-", ""),
                "symbol": f"SOL/{quote}:{quote}",
                "base": "SOL",
                "quote": quote,
                "settle": quote,
                "type": "swap",
                "swap": True,
                "spot": False,
                "contract": True,
                "linear": True,
                "contractSize": float(CONTRACT.get(name, D(1))),
                "maker": 0.0002,
                "taker": 0.0005,
                "precision": {"amount": 0.1, "price": 0.01},
                "info": {},
            }
        )
        api.set_markets([base])
        self.adapter._raw = api.markets[base["symbol"]]
        api.sign = lambda path, *_, **__: {"url": path, "method": "GET", "body": None, "headers": None}
        api.rateLimit = 0

    def answers(self, answer: Any, status: int = 200) -> CcxtExchange:
        def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            text = self.api.json(answer)
            self.api.last_json_response = answer
            self.api.handle_errors(status, "", url, method, {}, text, answer, {}, None)
            return answer

        self.api.fetch = fetch
        return self.adapter


def an_order(exchange_id: str | None = None) -> Order:
    return Order(42, "L1", Side.SELL, D("143.2"), D("0.3"), D(0), "new", 0.0, exchange_id=exchange_id)


def apex_order(**more: Any) -> dict[str, Any]:
    order = {
        "id": "77",
        "clientId": "42",
        "symbol": "SOL-USDT",
        "side": "SELL",
        "price": "143.2",
        "size": "0.3",
    }
    return {**order, "type": "LIMIT", "status": "OPEN", "createdAt": "1790000000000", **more}


def apex_fill(**more: Any) -> dict[str, Any]:
    fill = {
        "id": "901",
        "orderId": "77",
        "clientId": "42",
        "symbol": "SOL-USDT",
        "side": "SELL",
        "size": "0.1",
    }
    rest = {"price": "143.9", "fee": "0.0071", "direction": "TAKER", "createdAt": "1790000000500"}
    return {**fill, **rest, **more}


def test_each_exchange_has_a_reader_of_its_answers() -> None:
    assert set(READERS) == set(venues.VENUES)


def test_apex_fill_belongs_to_its_order_and_bears_its_fee() -> None:
    other = apex_fill(id="902", symbol="ETH-USDT")
    [fill] = World("apex").answers({"data": {"orders": [apex_fill(), other]}}).fills(0)
    assert isinstance(fill, Fill)
    assert (fill.exchange_id, fill.client_id, fill.qty) == ("77", 42, D("0.1"))
    assert (fill.fee, fill.fee_currency, fill.maker) == (D("0.0071"), "USDT", False)


def test_a_fill_of_an_unknown_order_is_not_booked_as_none() -> None:
    [fill] = World("apex").answers({"data": {"orders": [apex_fill(orderId=None)]}}).fills(0)
    assert fill == UnreadableFill("901", None, 42, "apex answered without a trade's order")


@pytest.mark.parametrize("missing", ["id", "orderId", "side", "size", "price", "createdAt"])
def test_one_fill_without_an_essential_field_hides_no_other(missing: str) -> None:
    answer = {"data": {"orders": [apex_fill(**{missing: None}), apex_fill(id="902")]}}
    first, second = World("apex").answers(answer).fills(0)
    assert isinstance(second, Fill)
    assert second.trade_id == "902"
    assert isinstance(first, UnreadableFill)
    assert first.exchange_id == (None if missing in ("orderId", "side") else "77")


@pytest.mark.parametrize(
    ("more", "filled", "is_open"),
    [
        ({"status": "FILLED", "cumSuccessFillSize": "0.3"}, D("0.3"), False),
        ({"status": "FILLED"}, D("0.3"), False),
        ({"status": "OPEN", "cumMatchFillSize": "0.1", "cumSuccessFillSize": "0"}, D("0.1"), True),
        ({"status": "CANCELED", "cumMatchFillSize": "", "cumSuccessFillSize": ""}, None, False),
        ({"status": "OPEN", "cumMatchFillSize": "", "cumSuccessFillSize": "0"}, None, True),
        ({"status": "CANCELED", "cumSuccessFillSize": "0.1"}, None, False),
        ({"status": "SOMETHING_NEW", "cumSuccessFillSize": "0.3"}, D("0.3"), True),
        ({"status": "SOMETHING_NEW", "cumMatchFillSize": "0"}, D(0), True),
        ({"status": "EXPIRED", "cumMatchFillSize": "0"}, D(0), False),
    ],
)
def test_apex_order_says_what_is_filled(more: dict[str, str], filled: Decimal | None, is_open: bool) -> None:
    [(_, exchange_order)] = World("apex").answers({"data": apex_order(**more)}).find([an_order("77")])
    assert isinstance(exchange_order, ExchangeOrder)
    assert (exchange_order.filled, exchange_order.open) == (filled, is_open)


def test_apex_orders_of_other_markets_are_left_out() -> None:
    answer = {"data": [apex_order(), apex_order(id="78", symbol="ETH-USDT")]}
    assert [order.exchange_id for order in World("apex").answers(answer).open_orders()] == ["77"]


@pytest.mark.parametrize(("side", "position"), [("LONG", D("0.3")), ("SHORT", D("-0.3"))])
def test_apex_position_is_no_multiple_of_the_smallest_order(side: str, position: Decimal) -> None:
    raw = {"symbol": "SOL-USDT", "side": side, "size": "0.3", "updatedTime": 1790000001000}
    assert World("apex").answers({"data": {"positions": [raw]}}).position() == position


@pytest.mark.parametrize(("currency", "fee"), [("USDT", "0.0071"), ("SOL", "0.0071"), ("APEX", "0.0071950")])
def test_a_fee_in_a_third_currency_is_counted_at_the_markets_rate(
    monkeypatch: pytest.MonkeyPatch, currency: str, fee: str
) -> None:
    world = World("apex")
    reader, market = world.adapter._answers, world.adapter._loaded()
    monkeypatch.setattr(reader, "_fee", lambda _raw: (D("0.0071"), currency))
    [fill] = world.answers({"data": {"orders": [apex_fill()]}}).fills(0)
    assert isinstance(fill, Fill)
    assert fill.fee == D(fee)
    assert fill.fee_currency == (market["quote"] if currency == "APEX" else currency)


@pytest.mark.parametrize(("direction", "rate"), [("MAKER", "0.0002"), ("TAKER", "0.0005")])
def test_apex_fees_are_not_the_other_way_round(direction: str, rate: str) -> None:
    world = World("apex")
    # As `parse_market` of ccxt 4.5.90 has them.
    world.adapter._loaded().update({"maker": 0.0005, "taker": 0.0002})
    answer = {"data": {"orders": [apex_fill(fee=None, direction=direction)]}}
    [fill] = world.answers(answer).fills(0)
    assert isinstance(fill, Fill)
    assert fill.fee == D("143.9") * D("0.1") * D(rate)
    [(_, exchange_order)] = world.answers({"data": apex_order(cumMatchFillSize="0.3")}).find([an_order("77")])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.fee == D("143.2") * D("0.3") * D("0.0002")


def test_a_position_that_is_listed_twice_is_one() -> None:
    raw = {"symbol": "SOL-USDT", "side": "LONG", "size": "0.3", "updatedTime": 1790000001000}
    other = {**raw, "side": "SHORT", "size": "0.1"}
    answer = {"data": {"positions": [raw, raw, other]}}
    assert World("apex").answers(answer).position() == D("0.2")


def test_a_net_position_has_the_sign_of_its_number() -> None:
    reader = World("aster").adapter._answers
    assert reader.position({"contracts": -3, "side": "both", "info": {}}) == D(-3)
    assert reader.position({"contracts": 0, "side": None, "info": {}}) == 0
    assert reader.position({"contracts": 3, "side": None, "info": {}}) is None


def test_a_position_without_a_size_is_unknown() -> None:
    raw = {"symbol": "SOL-USDT", "side": "LONG"}
    with pytest.raises(UnreachableError, match="position without its size or side"):
        World("apex").answers({"data": {"positions": [raw]}}).position()


@pytest.mark.parametrize("is_in_history", [False, True])
def test_paradex_finds_an_ended_order_in_its_history_alone(is_in_history: bool) -> None:
    world = World("paradex")
    world.api.authenticate_rest = lambda *_: "token"
    ended = {"id": "77", "client_id": "42", "market": IDS["paradex"], "side": "SELL", "price": "143.2"}
    ended |= {"size": "0.3", "remaining_size": "0", "status": "CLOSED", "created_at": "1790000000000"}

    def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        answer: Any = {"error": "CLIENT_ORDER_ID_NOT_FOUND", "message": "order not found"}
        if "history" in url:
            answer = {"results": [ended] if is_in_history else []}
        world.api.last_json_response = answer
        world.api.handle_errors(404, "", url, method, {}, world.api.json(answer), answer, {}, None)
        return answer

    world.api.fetch = fetch
    [(_, exchange_order)] = world.adapter.find([an_order()])
    filled = exchange_order.filled if isinstance(exchange_order, ExchangeOrder) else None
    assert filled == (D("0.3") if is_in_history else None)


def test_paradex_short_position_with_a_signed_size() -> None:
    raw = {"id": "1", "market": "SOL-USD-PERP", "status": "OPEN", "side": "SHORT", "size": "-3"}
    adapter = World("paradex")
    adapter.api.authenticate_rest = lambda *_: "token"
    assert adapter.answers({"results": [raw]}).position() == D(-3)


def test_lighter_order_without_an_id_is_sent_and_not_failed() -> None:
    world = World("lighter")
    world.api.sign_and_create_order = lambda *_: (14, "{}", {})
    assert world.answers({"code": 200, "tx_hash": "ab"}).place(an_order()) is None


@pytest.mark.parametrize(("own", "side", "client"), [("ask", Side.SELL, 42), ("bid", Side.BUY, 43)])
def test_lighter_fill_is_of_the_own_side(own: str, side: Side, client: int) -> None:
    raw = {"trade_id": 1, "market_id": 2, "size": "10", "price": "100", "timestamp": 1790000002000}
    raw |= {"ask_id": 7, "bid_id": 8, "ask_client_id": 42, "bid_client_id": 43, "is_maker_ask": True}
    raw |= {"ask_account_id": 20, "bid_account_id": 20, f"{own}_account_id": 1077}
    world = World("lighter")
    world.api.create_auth = lambda *_: "token"
    world.api.load_account = lambda *_, **__: None
    [fill] = world.answers({"code": 200, "trades": [raw]}).fills(0)
    assert isinstance(fill, Fill)
    maker = own == "ask"
    assert (fill.side, fill.client_id, fill.maker) == (side, client, maker)
    assert fill.exchange_id == ("7" if maker else "8")
    assert fill.fee == D(1000) * D("0.0002" if maker else "0.0005")


@pytest.mark.parametrize(("seconds", "scheduled"), [(600, 1), (0, 2)])
def test_lighter_timer_that_cancels_all_is_set_and_ended(seconds: int, scheduled: int) -> None:
    world, signed = World("lighter"), list[dict[str, Any]]()
    world.api.load_account = lambda *_, **__: None
    world.api.fetch_nonce = lambda *_, **__: 7

    def sign(_signer: object, raw: dict[str, Any]) -> tuple[int, str]:
        signed.append(raw)
        return 16, "{}"

    world.api.lighter_sign_cancel_all_orders = sign
    world.answers({"code": 200, "tx_hash": "ab"}).cancel_all_after(seconds)
    [raw] = signed
    assert (raw["time_in_force"], raw["api_key_index"]) == (scheduled, 2)
    assert (raw["time"] > 0) == bool(seconds)


@pytest.mark.parametrize("index", ["0", "3", "4", "254"])
def test_lighter_signs_with_the_key_that_was_set(monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    monkeypatch.setitem(KEYS["lighter"], "options.apiKeyIndex", index)
    api = World("lighter").api
    assert api.handle_api_key_index({"x": 1}, "createOrder", "apiKeyIndex", "api_key_index") == [
        int(index),
        {"x": 1},
    ]


def test_aster_position_keeps_its_sign() -> None:
    reader = World("aster").adapter._answers
    assert reader.position({"contracts": 20, "side": None, "info": {"positionAmt": "-20.000"}}) == D(-20)


def test_aster_spot_sells_a_quantity() -> None:
    option = World("aster").api.options["createOrder"]
    assert option["quoteOrderQty"] is False
    assert option["timeInForce"] == "GTC"


@pytest.mark.parametrize(
    ("url", "base"),
    [("https://x/v1", "https://a/v1"), ("https://x/v1", "https://a"), ("https://x/api/v1", "https://a/api")],
)
def test_a_base_that_has_the_version_does_not_get_it_twice(url: str, base: str) -> None:
    from gridbot.exchanges.ccxt_client import with_base_url

    assert with_base_url(url, base) == "https://a/" + url.split("/", 3)[3]


@pytest.mark.parametrize(
    ("exchange", "base"),
    [("aster", "https://fapi.asterdex.com"), ("paradex", "https://api.prod.paradex.trade/v1")],
)
def test_an_exchanges_own_address_changes_nothing(exchange: str, base: str) -> None:
    """Aster has a second host for spot, to which its calls have to go."""
    settings = args.parse([exchange if word == "backpack" else word for word in GRID], {})
    own = CcxtExchange(settings, None, {})._api.urls["api"]
    assert CcxtExchange(settings, None, {f"{exchange.upper()}_BASE_URL": base})._api.urls["api"] == own


def test_signed_calls_do_not_go_to_another_exchange() -> None:
    env = {"BASE_URL": "https://api.backpack.exchange/"}
    assert venues.base_url("aster", env) is None
    assert venues.base_url("backpack", env) == "https://api.backpack.exchange"


@pytest.mark.parametrize("name", ["ASTER_SECRET", "ASTER_SECRET_KEY"])
def test_a_secret_that_may_be_an_api_keys_is_refused_with_both_meanings(name: str) -> None:
    # The example of a secret in Aster's own document has 64 hexadecimal digits, like a wallet's key.
    for secret in (KEY.removeprefix("0x"), "a" * 63, "0x" + "1" * 63, "z" * 64):
        with pytest.raises(
            KeysError, match=f"{name}: may be a wallet's.*or an API key's secret.*ASTER_PRIVATE_KEY"
        ):
            venues.credentials("aster", {name: secret})
    assert venues.credentials("aster", {name: KEY}) == {"privateKey": KEY}
    for key in (KEY, KEY.removeprefix("0x")):
        assert venues.credentials("aster", {"ASTER_PRIVATE_KEY": key}) == {"privateKey": key}


def market(base: str, quote: str, id_: str, *, contract: bool) -> dict[str, Any]:
    symbol = f"{base}/{quote}:{quote}" if contract else f"{base}/{quote}"
    return {"id": id_, "symbol": symbol, "base": base, "quote": quote, "contract": contract}


@pytest.mark.parametrize(
    ("written", "perp", "symbol"),
    [
        ("SOLUSDT", True, "SOL/USDT:USDT"),
        ("SOLUSDT", False, "SOL/USDT"),
        ("BTCUSDT", True, "BTC/USDT:USDT"),
        ("BTC", True, "BTC/USDT:USDT"),
    ],
)
def test_symbols_as_other_bots_write_them(written: str, perp: bool, symbol: str) -> None:
    known = [
        market("SOL", "USDT", "SOLUSDT", contract=False),
        market("SOL", "USDT", "SOLUSDT", contract=True),
        market("BTC", "USDT", "BTC-USDT", contract=True),
    ]
    chosen = venues.find_market(written, known, perp=perp)
    assert chosen is not None
    assert chosen["symbol"] == symbol


def test_a_symbol_with_two_meanings_is_refused_with_both() -> None:
    known = [market("BTC", quote, f"BTC-{quote}", contract=True) for quote in ("USDT", "USDC")]
    with pytest.raises(ConfigError, match="BTC may be BTC/USDC:USDC or BTC/USDT:USDT"):
        venues.find_market("BTC", known, perp=True)


def test_apex_order_that_is_being_cancelled_is_still_open() -> None:
    answer = {"data": apex_order(status="CANCELING", cumMatchFillSize="0")}
    [(_, exchange_order)] = World("apex").answers(answer).find([an_order("77")])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.open
