"""The adapter: what it imports, where it calls, what it makes of errors, whose keys it reads."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import ccxt_client, venues
from gridbot.exchanges.ccxt_client import load
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ConfigError, KeysError, RejectedError, UnauthorizedError, UnreachableError
from gridbot.model.types import ExchangeOrder, Fill, Order, Side
from tests.bot.bots import GRID, RUN
from tests.fake_exchange.book import Book
from tests.fake_exchange.faults import Fault, Faults
from tests.fake_exchange.server import FakeExchange

D = Decimal
KEY = "0x" + "1" * 64


def settings(exchange: str = "backpack") -> Settings:
    return args.parse([exchange if word == "backpack" else word for word in GRID], {})


def exchange_at(fake: FakeExchange) -> CcxtExchange:
    keys = {"apiKey": fake.key, "secret": fake.secret}
    return CcxtExchange(settings(), keys, fake.env | {"GRIDBOT_EXCHANGE_TIMEOUT": "0.5"})


def an_order(number: int = 7, price: str = "149", **more: Any) -> Order:
    return Order(number, "L1", Side.BUY, D(price), D("0.1"), D(0), "new", 0.0, **more)


# what it imports


def test_one_exchange_is_imported_not_all() -> None:
    """The image leaves out what this doesn't need, and memory is what a fleet runs out of first."""
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "from gridbot.exchanges.ccxt_client import load; load('backpack')\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(json.dumps([sorted(sys.modules), int(peak.split()[1])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(RUN.parent)], capture_output=True, text=True, check=True
    )
    modules, peak = json.loads(done.stdout)
    assert "ccxt.backpack" in modules
    assert not {"ccxt.binance", "ccxt.kraken", "ccxt.async_support", "ccxt.pro", "aiohttp", "uvloop"} & set(
        modules
    )
    assert peak < 60 * 1024, f"{peak} KiB"


def test_what_only_a_live_bot_needs_is_not_loaded_at_the_start() -> None:
    """An event loop is a tenth of the time in which a bot on paper starts; a fleet starts 200 at once."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gridbot.cli.main\n"
        "print(*sorted({'asyncio', 'ccxt', 'aiohttp'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(RUN.parent)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []


@pytest.mark.parametrize("name", sorted(venues.VENUES))
def test_ccxt_has_what_the_adapter_calls(name: str) -> None:
    api = load(name)()
    for what in (
        "fetchTicker",
        "fetchOpenOrders",
        "fetchMyTrades",
        "cancelOrder",
        "createOrder",
        "fetchPositions",
    ):
        assert api.has[what], what
    lookup = (
        "fetchOrder" if venues.VENUES[name].lookup == "client_id" else ("fetchOrders", "fetchClosedOrders")
    )
    assert api.has[lookup] if isinstance(lookup, str) else any(api.has[one] for one in lookup)
    known = set(api.requiredCredentials) | {"privateKey"}
    assert {key for key in venues.VENUES[name].keys if not key.startswith("options.")} <= known
    needed = {key for key, is_needed in api.requiredCredentials.items() if is_needed}
    assert needed <= set(venues.VENUES[name].keys)


@pytest.mark.parametrize("name", sorted(venues.VENUES))
def test_the_address_can_be_another_one(name: str) -> None:
    exchange = CcxtExchange(settings(name), None, {f"{name.upper()}_API_URL": "http://127.0.0.1:9/"})
    urls = exchange._api.urls["api"].values()
    assert all(url.startswith("http://127.0.0.1:9") and "{" not in url for url in urls)
    default = CcxtExchange(settings(name), None, {})
    assert any(
        venues.VENUES[name].host in default._api.implode_hostname(u)
        for u in default._api.urls["api"].values()
    )


@pytest.mark.parametrize("name", sorted(venues.VENUES))
def test_no_builder_takes_a_fee(name: str) -> None:
    assert CcxtExchange(settings(name), None, {})._api.options["builderFee"] is False


def test_aster_and_paradex_sign_without_another_library() -> None:
    aster = load("aster")({"privateKey": KEY})
    assert (
        "signature=0x" in aster.sign("v3/order", ["fapiPrivate", "v3"], "POST", {"symbol": "SOLUSDT"})["body"]
    )
    paradex = load("paradex")({"privateKey": KEY})
    message = paradex.starknet_encode_structured_data(
        {"name": "Paradex", "chainId": "0x1", "version": 1},
        {"Order": [{"name": "a", "type": "felt"}]},
        {"a": "1"},
        "0x1",
    )
    assert len(json.loads(paradex.starknet_sign(message, KEY))) == 2


# keys


def test_keys_are_read_under_any_of_their_names() -> None:
    assert venues.credentials("backpack", {"BACKPACK_API_KEY": "k", "BACKPACK_SECRET_KEY": "s"}) == {
        "apiKey": "k",
        "secret": "s",
    }
    both = {"BACKPACK_KEY": "first", "BACKPACK_API_KEY": "second", "BACKPACK_SECRET": "s"}
    assert venues.credentials("backpack", both)["apiKey"] == "first"


@pytest.mark.parametrize(
    ("exchange", "method", "arguments"),
    [
        ("backpack", "sign", ("api/v1/orders", ["private"], "GET")),
        *((exchange, "sign_hash", ("1" * 64, "zz" * 32)) for exchange in ("aster", "paradex", "lighter")),
        ("apex", "sign", ("v3/account", ["private"], "GET")),
    ],
)
def test_what_cannot_be_signed_is_the_keys_fault_on_every_exchange(
    exchange: str, method: str, arguments: tuple[Any, ...]
) -> None:
    """Also where the form of the credential is right, or is not looked at: nothing was sent."""
    wrong = {"apiKey": "k", "secret": "c2hvcnQ=", "options.apiKeyIndex": "1", "options.accountIndex": "1"}
    api = ccxt_client.connect(settings(exchange), {**wrong, "privateKey": "zz" * 32, "password": "p"}, {})
    if exchange == "apex":
        api.secret = None  # any text signs there
        api.check_required_credentials = lambda: True
    with pytest.raises(load_errors().AuthenticationError) as failure:
        getattr(api, method)(*arguments)
    assert str(failure.value).startswith("cannot sign with these keys (")
    assert "c2hvcnQ=" not in str(failure.value)


def load_errors() -> Any:
    return importlib.import_module("ccxt.base.errors")


def test_missing_keys_are_all_named() -> None:
    with pytest.raises(KeysError) as failure:
        venues.credentials("paradex", {"PARADEX_PRIVATE_KEY": ""})
    assert str(failure.value) == (
        "live trading on paradex needs PARADEX_WALLET_ADDRESS (or PARADEX_ACCOUNT_ADDRESS, PARADEX_ADDRESS);"
        " PARADEX_PRIVATE_KEY (or PARADEX_SECRET, PARADEX_SECRET_KEY) in the environment"
    )


def test_an_address_that_is_none_is_refused() -> None:
    assert venues.base_url("backpack", {"BASE_URL": "https://api.example/"}) == "https://api.example"
    assert (
        venues.base_url("backpack", {"BASE_URL": "https://a", "BACKPACK_API_URL": "https://b"}) == "https://b"
    )
    with pytest.raises(ConfigError, match="BASE_URL: must begin with https:// or http://"):
        venues.base_url("backpack", {"BASE_URL": "api.example"})


@pytest.mark.parametrize(
    "name", ["GRIDBOT_RECV_WINDOW_MS", "GRIDBOT_EXCHANGE_TIMEOUT", "GRIDBOT_RATE_LIMIT_MS"]
)
def test_a_setting_that_is_no_number_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: must be a number above 0, not soon"):
        CcxtExchange(settings(), None, {name: "soon"})


# calls and errors


def test_an_order_there_and_back() -> None:
    with FakeExchange() as fake:
        exchange = exchange_at(fake)
        market = exchange.market()
        assert (market.base, market.quote, market.tick, market.lot, market.perp) == (
            "SOL",
            "USDC",
            D("0.01"),
            D("0.01"),
            True,
        )
        assert exchange.price() == D(150)
        order = an_order(4_294_967_295, post_only=True)
        exchange_id = exchange.place(order)
        [there] = exchange.open_orders()
        assert isinstance(there, ExchangeOrder)
        assert (there.exchange_id, there.client_id, there.price, there.open) == (
            exchange_id,
            4_294_967_295,
            D(149),
            True,
        )
        fake.book.move(D(149))
        [(_, exchange_order)] = exchange.find([order])
        assert isinstance(exchange_order, ExchangeOrder)
        assert (exchange_order.open, exchange_order.filled) == (False, D("0.1"))
        [fill] = exchange.fills(0)
        assert isinstance(fill, Fill)
        assert (fill.client_id, fill.price, fill.qty, fill.fee, fill.fee_currency) == (
            4_294_967_295,
            D(149),
            D("0.1"),
            D("0.00298"),
            "USDC",
        )
        assert exchange.position() == D("0.1")
        exchange.cancel(an_order(exchange_id=exchange_id))  # gone already: no error
        assert [exchange_order for _, exchange_order in exchange.find([an_order(5)])] == [None]


def test_more_fills_than_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.exchanges.answers_backpack.Backpack.most_on_page", 10)
    with FakeExchange() as fake:
        for _ in range(35):
            fake.book.place("Bid", "Market", None, D("0.1"))
        fills = exchange_at(fake).fills(0)
        assert len({fill.trade_id for fill in fills}) == len(fills) == 35


def test_an_order_further_back_than_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.exchanges.ccxt_exchange.PAGE", 5)
    with FakeExchange() as fake:
        first = fake.book.place("Bid", "Limit", D(140), D(1), 9)
        for _ in range(20):
            fake.book.place("Bid", "Market", None, D("0.1"))
        order = an_order(9, "140", exchange_id=first.id)
        [(_, exchange_order)] = exchange_at(fake).find([order])
        assert exchange_order is not None
        assert exchange_order.exchange_id == first.id


@pytest.mark.parametrize(
    ("fault", "exists"),
    [
        (Fault.TOO_MANY, False),
        (Fault.UNAVAILABLE, False),
        (Fault.GARBAGE, False),
        (Fault.DROP_BEFORE, False),
        (Fault.DROP_AFTER, True),
        (Fault.BROKEN_AFTER, True),
        (Fault.HANG_AFTER, True),
        (Fault.LATE, True),
    ],
)
def test_whatever_leaves_the_outcome_open_says_so(fault: Fault, exists: bool) -> None:
    with FakeExchange(Book(), Faults(kinds=(fault,), hang_s=0.7)) as fake:
        exchange = exchange_at(fake)
        exchange.market()
        fake.faults.rate = 1.0
        with pytest.raises(UnreachableError):
            exchange.place(an_order())
        fake.faults.rate = 0.0
        deadline = 40
        while exists and not fake.book.orders and deadline:
            deadline -= 1
            time.sleep(0.05)
        assert bool(fake.book.orders) is exists


def test_a_definite_no_says_so() -> None:
    with FakeExchange() as fake:
        exchange = exchange_at(fake)
        with pytest.raises(RejectedError, match="immediately match"):
            exchange.place(an_order(price="151", post_only=True))
        exchange.place(an_order())
        with pytest.raises(UnreachableError, match="clientId is in use"):  # by this very order, sent twice
            exchange.place(an_order())
        wrong = CcxtExchange(settings(), {"apiKey": fake.key, "secret": "A" * 43 + "="}, fake.env)
        with pytest.raises(UnauthorizedError):
            wrong.open_orders()
