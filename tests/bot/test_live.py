"""Live trading through ccxt against the fake exchange, and paper trading on its prices."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.exchanges.signing_library import require_signing_library
from gridbot.model.errors import ConfigError
from tests import ports
from tests.bot.bots import GRID, Bot, BotFactory
from tests.fake_exchange.book import Book
from tests.fake_exchange.faults import Fault, Faults
from tests.fake_exchange.server import FakeExchange

MESH = (*GRID[:6], "--grid-upper", "156", "--grid-lower", "144", "--grid-num", "7", "--quantity", "0.1")
FAST = {"GRIDBOT_EXCHANGE_TIMEOUT": "1", "GRIDBOT_RECV_WINDOW_MS": "1000", "GRIDBOT_RATE_LIMIT_MS": "2"}


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


def live(start_bot: BotFactory, fake: FakeExchange, *more: str, **env: str) -> Bot:
    return start_bot(*MESH, "--interval", "0.1", *more, TRADING_MODE="live", **fake.env | FAST | env)


def settled(bot: Bot, fake: FakeExchange) -> None:
    """The whole grid stands, and the bot has seen that it does."""
    bot.wait_for(lambda: len(fake.book.own_open()) == 6, within=40)
    bot.wait_for(lambda: [order["state"] for order in bot.status().get("open_orders", [])] == ["open"] * 6)


def test_a_round_trip(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    assert bot.status()["mode"] == "live"
    assert 0 < bot.status()["order_latency"] < 5
    assert "gridbot_order_latency_seconds 0." in bot.get("/metrics")[1]
    for price in ("148", "146", "150", "154"):
        fake.book.move(Decimal(price))
        fills = len(fake.book.fills)
        bot.wait_for(lambda want=fills: bot.status().get("trades") == want)  # type: ignore[misc]
        time.sleep(0.3)
    assert fake.book.position() == Decimal(bot.status()["position"]) == Decimal("-0.2")
    assert bot.stop() == 0
    assert fake.book.own_open() == []
    last_words = bot.last_words()
    assert last_words["open_orders_left"] == 0
    assert Decimal(last_words["position_at_exchange"]) == Decimal("-0.2")
    assert fake.book.violations == []


def test_ids_are_written_down_before_they_are_sent(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.faults.kinds, fake.faults.rate = (Fault.DROP_AFTER,), 0.15
    bot = live(start_bot, fake)
    settled(bot, fake)
    recorded = {client_id for (client_id,) in bot.query("SELECT client_id FROM orders")}
    assert {order.client_id for order in fake.book.own_open()} <= recorded
    assert all(0 < client_id < 2**32 for client_id in recorded)
    assert fake.book.violations == []


def test_only_its_own_orders_are_cancelled(start_bot: BotFactory, fake: FakeExchange) -> None:
    foreign = [fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), i, foreign=True) for i in range(34)]
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    bot = live(start_bot, fake, "--grid-num", "4")
    levels = {Decimal(144), Decimal(152), Decimal(156)}
    bot.wait_for(lambda: {order.price for order in fake.book.own_open()} == levels)
    assert bot.stop() == 0
    assert fake.book.own_open() == []
    assert all(order.open for order in foreign)
    assert fake.book.violations == []


def test_a_restart_keeps_its_orders(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    before = {order.id for order in fake.book.own_open()}
    bot.kill()
    fake.book.move(Decimal(148))
    bot = live(start_bot, fake)
    bot.wait_for(lambda: bot.status().get("trades") == 1)
    settled(bot, fake)
    kept = {order.id for order in fake.book.own_open()} & before
    assert len(kept) == 5
    assert bot.stop() == 0


def test_a_stop_during_an_outage_reports_what_is_left(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake, GRIDBOT_STOP_WITHIN="1")
    settled(bot, fake)
    fake.faults.down = True
    assert bot.stop(within=20) == 0
    assert bot.last_words()["open_orders_left"] == 6
    assert bot.last_words()["confirmed"] is False
    fake.faults.down = False
    bot = live(start_bot, fake)
    bot.wait_healthy()
    assert bot.stop() == 0
    assert fake.book.own_open() == []


def test_a_stop_on_a_slow_and_failing_exchange(start_bot: BotFactory) -> None:
    with FakeExchange(faults=Faults(latency=(0.05, 0.15))) as fake:
        bot = live(start_bot, fake)
        settled(bot, fake)
        fake.faults.rate, fake.faults.hang_s = 0.15, 1.2
        began = time.monotonic()
        assert bot.stop() == 0
        assert time.monotonic() - began < 38
        assert fake.book.own_open() == []
        assert bot.last_words()["open_orders_left"] == 0


def test_the_emergency_close_sells_what_was_bought(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake, "--enable-boundary-check", "--boundary-action", "emergency_close")
    settled(bot, fake)
    fake.book.move(Decimal(144))
    bot.wait_for(lambda: bot.status().get("trades") == 3)
    fake.book.move(Decimal(143))
    assert bot.wait_end() == 0
    assert fake.book.position() == 0
    assert fake.book.own_open() == []
    [order] = [order for order in fake.book.orders.values() if order.kind == "Market"]
    assert (order.side, order.qty) == ("Ask", Decimal("0.3"))
    assert bot.last_words()["why"] == "price 143 is below the lower bound 144"


def test_the_accounts_other_position_is_left_alone(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.book.place("Bid", "Market", None, Decimal(3), foreign=True)
    bot = live(start_bot, fake, "--stop-loss", "0.5")
    bot.wait_for(lambda: "the account holds 3 SOL, this bot's trades make 0" in bot.output())
    bot.wait_for(lambda: bot.status().get("account_position") == "3")
    fake.book.move(Decimal(144))
    assert bot.wait_end() == 0
    assert fake.book.position() == 3


def test_a_close_against_anothers_larger_position(start_bot: BotFactory, fake: FakeExchange) -> None:
    """The account is short, this bot is long: its sale doesn't reduce the account's position."""
    fake.book.place("Ask", "Market", None, Decimal(3), foreign=True)
    bot = live(start_bot, fake, "--stop-loss", "0.5")
    settled(bot, fake)
    fake.book.move(Decimal(144))
    assert bot.wait_end() == 0
    assert fake.book.position() == -3


# refusals


def test_live_without_keys_names_them(start_bot: BotFactory) -> None:
    bot = start_bot(*MESH, TRADING_MODE="live")
    assert bot.wait_end() == 3
    [line] = bot.output().splitlines()
    assert line.endswith(
        "ERROR   live trading on backpack needs BACKPACK_KEY (or BACKPACK_API_KEY); BACKPACK_SECRET"
        " (or BACKPACK_SECRET_KEY, BACKPACK_API_SECRET) in the environment"
    )


def test_wrong_keys_exit_3(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake, BACKPACK_SECRET="A" * 43 + "=")
    assert bot.wait_end() == 3
    assert "backpack doesn't accept the keys" in bot.output()
    assert bot.last_words()["open_orders_left"] == 0


@pytest.mark.parametrize("secret", ["no base64 at all", "A" * 43, "A" * 40 + "===="])
def test_a_secret_that_cannot_sign_is_the_keys_fault_and_asks_the_exchange_nothing(
    start_bot: BotFactory, fake: FakeExchange, secret: str
) -> None:
    bot = live(start_bot, fake, BACKPACK_SECRET=secret)
    assert bot.wait_end() == 3
    assert "BACKPACK_SECRET is not 32 or 64 bytes in base64: 44 or 88 characters" in bot.output()
    assert secret not in bot.output()
    assert not fake.requests


def test_a_symbol_it_does_not_have_exits_4(start_bot: BotFactory, fake: FakeExchange) -> None:
    argv = ["SOL_EUR_PERP" if word == "SOL_USDC_PERP" else word for word in MESH]
    bot = start_bot(*argv, TRADING_MODE="live", **fake.env | FAST)
    assert bot.wait_end() == 4
    assert "--symbol: backpack has no market SOL_EUR_PERP; it has SOL_USDC_PERP" in bot.output()


def test_a_perpetual_is_no_spot_market(start_bot: BotFactory, fake: FakeExchange) -> None:
    argv = ["grid" if word == "perp_grid" else word for word in MESH]
    bot = start_bot(*argv, TRADING_MODE="live", **fake.env | FAST)
    assert bot.wait_end() == 2
    assert "--symbol: SOL_USDC_PERP is a perpetual on backpack" in bot.output()


@pytest.mark.parametrize(
    ("exchange", "library"), [("lighter", "LIGHTER_SIGNER_LIBRARY"), ("apex", "apexomni")]
)
def test_a_missing_signing_library_is_named(start_bot: BotFactory, exchange: str, library: str) -> None:
    argv = [exchange if word == "backpack" else word for word in MESH]
    bot = start_bot(*argv, TRADING_MODE="live", GRIDBOT_ACCEPT_UNVERIFIED="1")
    assert bot.wait_end() == 2
    [line] = bot.output().splitlines()
    assert f"live trading on {exchange} needs" in line
    assert library in line


@pytest.mark.parametrize("exchange", ["aster", "paradex", "lighter", "apex"])
def test_an_exchange_that_is_not_verified_refuses_live_in_one_line(
    start_bot: BotFactory, exchange: str
) -> None:
    bot = start_bot(*[exchange if word == "backpack" else word for word in MESH], TRADING_MODE="live")
    assert bot.wait_end() == 2
    [line] = bot.output().splitlines()
    assert f"live trading on {exchange} perp is refused: the signature of requests" in line
    assert f"set GRIDBOT_ACCEPT_UNVERIFIED={exchange}" in line


def test_a_signing_library_that_cannot_be_used_is_refused_before_the_first_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked for, and found, and noticed by the first signature behind a sound pre-flight."""
    library = tmp_path / "lighter-signer.so"
    library.write_text("a page that was saved in its place")
    with pytest.raises(ConfigError, match=r"LIGHTER_SIGNER_LIBRARY: .*cannot be used"):
        require_signing_library("lighter", {"LIGHTER_SIGNER_LIBRARY": str(library)})
    package = tmp_path / "apexpro"
    package.mkdir()
    (package / "__init__.py").write_text("import a_package_that_apexomni_needs")
    (package / "zklink_sdk.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"apexomni: No module named 'a_package_that_apexomni_needs'"):
        require_signing_library("apex", {})
    (package / "__init__.py").write_text("")
    require_signing_library("apex", {})
    for name in ("apexpro", "apexpro.zklink_sdk"):
        monkeypatch.delitem(sys.modules, name)


# paper on live prices


def paper(start_bot: BotFactory, url: str, **env: str) -> Bot:
    return start_bot(
        *MESH, "--interval", "0.1", **FAST | {"GRIDBOT_MARKET": "auto", "BACKPACK_API_URL": url} | env
    )


def test_paper_takes_live_prices_when_the_exchange_answers(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = paper(start_bot, fake.url)
    bot.wait_healthy()
    assert (bot.status()["source"], bot.status()["mode"], bot.status()["price"]) == ("live", "paper", "150")
    fake.book.move(Decimal("147.9"))
    bot.wait_for(lambda: bot.status().get("trades") == 1)
    assert bot.stop() == 0
    assert {method for method, _ in fake.requests} == {"GET"}
    assert not [path for _, path in fake.requests if "order" in path or "history" in path]


def test_paper_never_goes_from_live_prices_to_synthetic_ones(
    start_bot: BotFactory, fake: FakeExchange
) -> None:
    bot = paper(start_bot, fake.url, GRIDBOT_OUT_OF_REACH="1")
    bot.wait_healthy()
    fake.faults.down = True
    bot.wait_for(lambda: bot.get("/health")[1]["status"] == "degraded")
    assert bot.status()["source"] == "live"
    bot.kill()
    bot = paper(start_bot, fake.url)
    bot.wait_for(lambda: "waiting for the exchange" in bot.output())
    time.sleep(1)
    assert bot.get("/health")[1]["status"] == "degraded"
    fake.faults.down = False
    bot.wait_for(lambda: bot.get("/health")[1]["status"] == "healthy")
    assert bot.status()["source"] == "live"
    assert bot.query("SELECT count(*) FROM runs") == [(1,)]
    assert bot.stop() == 0


def test_paper_begins_synthetic_when_nothing_answers(start_bot: BotFactory) -> None:
    bot = paper(start_bot, f"http://127.0.0.1:{ports.reserve()}")
    bot.wait_healthy()
    assert bot.status()["source"] == "synthetic"


def test_a_synthetic_run_stays_synthetic(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = paper(start_bot, fake.url, GRIDBOT_MARKET="synthetic")
    bot.wait_healthy()
    assert bot.stop() == 0
    bot = paper(start_bot, fake.url)
    bot.wait_healthy()
    assert bot.status()["source"] == "synthetic"
    assert "GRIDBOT_MARKET=live begins one on live prices" in bot.output()
    assert bot.stop() == 0
    bot = paper(start_bot, fake.url, GRIDBOT_MARKET="live")
    bot.wait_healthy()
    assert bot.status()["source"] == "live"
    assert bot.query("SELECT count(*) FROM runs") == [(2,)]


def test_live_orders_left_behind_are_not_forgotten_by_a_paper_start(
    start_bot: BotFactory, fake: FakeExchange
) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    bot = paper(start_bot, fake.url)
    assert bot.wait_end() == 2
    assert "DB_PATH: a live run has left" in bot.output()
    bot = live(start_bot, fake)
    bot.wait_healthy()
    assert bot.stop() == 0
    assert fake.book.own_open() == []


def test_a_garbled_book_is_no_empty_book() -> None:
    """An HTML page with status 200 for the list of open orders must not read as "no orders"."""
    book = Book()
    with FakeExchange(book, Faults(rate=1.0, kinds=(Fault.GARBAGE,))) as fake:
        from gridbot.config import args
        from gridbot.exchanges.ccxt_exchange import CcxtExchange
        from gridbot.model.errors import UnreachableError

        settings = args.parse(MESH, {})
        keys = {"apiKey": fake.key, "secret": fake.secret}
        exchange = CcxtExchange(settings, keys, fake.env)
        fake.faults.rate = 0.0
        exchange.market()
        fake.faults.rate = 1.0
        for call in (exchange.open_orders, exchange.price, lambda: exchange.fills(0), exchange.position):
            with pytest.raises(UnreachableError):
                call()


def test_fills_are_seen_with_a_clock_far_ahead(start_bot: BotFactory) -> None:
    book = Book(clock=lambda: time.time() - 180)
    with FakeExchange(book) as fake:
        bot = live(start_bot, fake)
        settled(bot, fake)
        book.move(Decimal(148))
        bot.wait_for(lambda: bot.status().get("trades") == 1)
        assert bot.stop() == 0


def test_funding_is_part_of_the_profit(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.book.funding = [(time.time() - 7200, Decimal(-9)), (time.time() + 60, Decimal("-0.25"))]
    bot = live(start_bot, fake)
    bot.wait_for(lambda: bot.status().get("funding") == "-0.25")
    bot.wait_for(lambda: Decimal(bot.status()["pnl"]) == Decimal("-0.25"))
    assert bot.stop() == 0


def test_a_stop_loss_on_spot_leaves_dust_and_says_what_an_order_must_have(start_bot: BotFactory) -> None:
    """What is bought is paid for in it: less than the smallest order is left of it."""
    spot = ("--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "grid", *MESH[6:])
    with FakeExchange(Book(symbol="SOL_USDC", base_fees=True)) as fake:
        env = fake.env | FAST | {"TRADING_MODE": "live"}
        bot = start_bot(*spot, "--interval", "0.1", "--stop-loss", "0.2", **env)
        bot.wait_for(lambda: len(fake.book.own_open()) == 3, within=40)
        fake.book.move(Decimal("145"))
        assert bot.wait_end() == 0
        last_words = bot.last_words()
    assert last_words["condition"]["code"] == "stopped_out"
    assert 0 < Decimal(last_words["position"]) < Decimal(last_words["min_order"]) == Decimal("0.01")
