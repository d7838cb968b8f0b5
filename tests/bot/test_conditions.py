"""What the bot says it is doing (contract 2): each condition made to happen."""

from __future__ import annotations

import http.client
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import ports
from tests.bot.bots import GRID, Bot, BotFactory
from tests.bot.test_live import FAST, MESH, settled
from tests.bot.test_run import BOUNDARY, replay
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.server import FakeExchange

REPORT_KEYS = {
    "contract",
    "at",
    "final",
    "condition",
    "reason",
    "mode",
    "market",
    "price",
    "price_at",
    "range",
    "base",
    "quote",
    "position",
    "min_order",
    "entry_price",
    "open_orders",
    "pnl",
    "realized",
    "unrealized",
    "fees",
    "funding",
    "trades",
    "last_fill",
    "run_began",
    "maker_share",
    "reject_rate",
    "max_drawdown",
    "profit_per_grid",
    "apr",
    "order_latency",
}
QUICK = FAST | {"GRIDBOT_OUT_OF_REACH": "0.3", "GRIDBOT_RETRY_CAP": "0.6"}
FUNDS = RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds")


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


def live(start_bot: BotFactory, fake: FakeExchange, *more: str, **env: str) -> Bot:
    return start_bot(*MESH, "--interval", "0.1", *more, TRADING_MODE="live", **fake.env | QUICK | env)


def condition(bot: Bot) -> dict[str, Any]:
    reported = bot.status().get("condition") or {"code": None, "params": {}}
    assert isinstance(reported, dict)
    return reported


def wait_for(bot: Bot, code: str, within: float = 20.0) -> dict[str, Any]:
    """Wait until the bot says `code` on its page and in its report; return the report."""
    bot.wait_for(lambda: condition(bot)["code"] == code, within)
    bot.wait_for(lambda: bot.report.exists() and bot.last_words()["condition"]["code"] == code)
    return bot.last_words()


def health(bot: Bot) -> tuple[int, str, str | None]:
    code, body = bot.get("/health")
    return code, body["status"], body.get("condition", {}).get("code")


# the report


def test_page_and_file_have_the_keys_of_the_contract(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    fake.book.move(Decimal(148))
    # A fill is reported at once, with the price of the tick before it.
    bot.wait_for(lambda: (bot.status().get("trades"), bot.status().get("price")) == (1, "148"))
    status, report = bot.status(), wait_for(bot, "trading")
    assert set(status) >= REPORT_KEYS | {"last_tick"}
    assert set(report) == REPORT_KEYS | {"instance"}
    assert (report["contract"], report["final"]) == (2, False)
    assert "open_orders_left" not in report, "a bot that is killed must not seem to have counted"
    assert status["condition"] == {"code": "trading", "params": {"refused_orders": 0}}
    assert (status["mode"], status["market"], status["base"], status["quote"]) == (
        "live",
        "live",
        "SOL",
        "USDC",
    )
    assert (status["position"], status["entry_price"], status["price"]) == ("0.1", "148", "148")
    assert status["range"] == {"lower": "144", "upper": "156"}
    assert status["funding"] is None, "a live perpetual pays funding, and the bot doesn't know how much"
    assert abs(time.time() - status["last_fill"]) < 10
    assert Decimal(status["pnl"]) == Decimal(status["realized"]) + Decimal(status["unrealized"]) - Decimal(
        status["fees"]
    )
    assert health(bot) == (200, "healthy", "trading")
    assert bot.stop() == 0
    final = bot.last_words()
    assert (final["final"], final["reason"], final["exit_code"]) == (True, "SIGTERM", 0)
    assert final["condition"]["code"] == "trading"
    assert (final["open_orders_left"], final["confirmed"], final["position"]) == (0, True, "0.1")
    assert (final["maker_share"], final["reject_rate"]) == (1, 0), "of the whole run, the last fill included"


def test_unknown_is_null_and_never_zero(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    status = bot.status()
    assert (status["position"], status["entry_price"], status["last_fill"]) == ("0", None, None)
    bot.kill()
    # Another market's run in the file: nothing of it belongs to the run that waits for its exchange.
    other = ["grid" if word == "perp_grid" else word for word in MESH]
    fake.faults.down = True
    bot = start_bot(*other, TRADING_MODE="live", **fake.env | QUICK)
    report = wait_for(bot, "exchange_away")
    unknown = ("position", "entry_price", "pnl", "realized", "fees", "trades", "price", "base", "quote")
    assert {report[key] for key in unknown} == {None}
    assert report["open_orders"] == 6, "what may rest at the exchange is known"


def test_the_synthetic_market_is_named(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.2")
    report = wait_for(bot, "trading")
    assert (report["mode"], report["market"], report["funding"]) == ("paper", "synthetic", "0")
    bot.kill()
    assert bot.last_words()["final"] is False


# the exchange is away


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.DROP_BEFORE, "unreachable"),
        (Fault.BANNED, "banned"),
    ],
)
def test_an_outage_is_degraded_and_ends_by_itself(
    start_bot: BotFactory, fake: FakeExchange, fault: Fault, cause: str
) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    fake.faults.away_for(60, fault)
    asked, began = len(fake.requests), time.time()
    report = wait_for(bot, "exchange_away")
    params = report["condition"]["params"]
    assert (params["cause"], params["open_orders"]) == (cause, 6)
    assert began - 2 < params["since"] < began + 5
    assert health(bot) == (200, "degraded", "exchange_away")
    assert bot.get("/health/detailed")[0] == 200
    bot.wait_for(lambda: bot.status()["last_tick_age"] < 2)
    fake.book.move(Decimal(148))
    time.sleep(1)
    assert health(bot)[0] == 200
    pauses = 0.25 * (len(fake.requests) - asked)
    assert pauses < time.time() - began, "an exchange that is away is asked more and more seldom"
    fake.faults.away_for(0)
    wait_for(bot, "trading")
    bot.wait_for(lambda: bot.status().get("trades") == 1)
    settled_again = {order.price for order in fake.book.own_open()}
    assert len(settled_again) >= 5
    assert bot.stop() == 0
    assert fake.book.own_open() == []
    assert fake.book.violations == []


def test_a_short_failure_changes_nothing(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake, GRIDBOT_OUT_OF_REACH="30")
    settled(bot, fake)
    fake.faults.away_for(0.5)
    bot.wait_for(lambda: "the exchange answers again" in bot.output())
    assert bot.query("SELECT count(*) > 0 FROM errors") == [(1,)]
    assert health(bot) == (200, "healthy", "trading")


def test_an_exchange_that_is_away_at_the_start_is_waited_for(
    start_bot: BotFactory, fake: FakeExchange
) -> None:
    fake.faults.down = True
    bot = live(start_bot, fake)
    report = wait_for(bot, "exchange_away")
    assert (report["position"], report["trades"]) == ("0", 0), "a new database holds no position"
    assert (report["price"], report["pnl"]) == (None, "0.00000000"), "nothing to be valued at a price"
    assert health(bot) == (200, "degraded", "exchange_away")
    fake.faults.down = False
    settled(bot, fake)
    wait_for(bot, "trading")
    bot.kill()
    fake.faults.down = True
    report = wait_for(live(start_bot, fake), "exchange_away")
    assert (report["base"], report["quote"], report["price"]) == ("SOL", "USDC", "150"), "of the last process"
    assert (report["pnl"], report["price_at"] < report["at"]) == ("0.00000000", True)


def test_a_stop_while_the_exchange_is_away_from_the_start(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.faults.down = True
    bot = live(start_bot, fake, GRIDBOT_STOP_WITHIN="1")
    wait_for(bot, "exchange_away")
    assert bot.stop(within=20) == 0
    final = bot.last_words()
    assert (final["final"], final["exit_code"], final["condition"]["code"]) == (True, 0, "exchange_away")


def test_paper_on_live_prices_waits_too(start_bot: BotFactory, fake: FakeExchange) -> None:
    env = QUICK | {"GRIDBOT_MARKET": "live", "BACKPACK_API_URL": fake.url}
    bot = start_bot(*MESH, "--interval", "0.1", **env)
    assert wait_for(bot, "trading")["market"] == "live"
    fake.faults.down = True
    report = wait_for(bot, "exchange_away")
    assert report["condition"]["params"]["open_orders"] == 6
    assert report["price"] == "150", "the last price, with its time"
    assert time.time() - report["price_at"] < 20


# orders are refused


def test_refused_orders_are_said_and_tried_again_slowly(start_bot: BotFactory, fake: FakeExchange) -> None:
    fake.refusal = FUNDS
    bot = live(start_bot, fake)
    report = wait_for(bot, "orders_refused")
    params = report["condition"]["params"]
    assert params["cause"] == "insufficient_funds"
    assert params["refused"] >= 3
    assert health(bot) == (200, "degraded", "orders_refused")
    sent = sum(method == "POST" for method, _ in fake.requests)
    time.sleep(1)
    assert sum(method == "POST" for method, _ in fake.requests) - sent <= 3
    fake.refusal = None
    settled(bot, fake)
    wait_for(bot, "trading")
    assert bot.stop() == 0
    assert fake.book.own_open() == []


def test_a_key_that_may_not_cancel_any_more_ends_nothing(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake, BOT_WEB_TOKEN="t")
    settled(bot, fake)
    fake.read_only = True
    fake.book.move(Decimal(148))
    bot.wait_for(lambda: bot.status().get("trades") == 1)
    bot.wait_for(lambda: condition(bot)["params"].get("refused_orders", 0) >= 1)
    assert health(bot)[0] == 200


# deliberate ends


@pytest.mark.parametrize(
    ("options", "code", "by"),
    [
        (("--stop-loss", "1"), "stopped_out", "stop_loss"),
        (("--enable-boundary-check", "--boundary-action", "stop_only"), "stopped_out", "lower_bound"),
        (("--enable-boundary-check", "--boundary-action", "emergency_close"), "stopped_out", "lower_bound"),
        ((), "finished", "replay"),
        (("--duration", "0.2"), "finished", "duration"),
    ],
)
def test_a_deliberate_end_says_which(
    start_bot: BotFactory, tmp_path: Path, options: tuple[str, ...], code: str, by: str
) -> None:
    bot = start_bot(*replay(tmp_path, *BOUNDARY), *options)
    assert bot.wait_end() == 0
    final = bot.last_words()
    assert (final["final"], final["exit_code"]) == (True, 0)
    assert (final["condition"]["code"], final["condition"]["params"]["by"]) == (code, by)
    assert final["reason"] == final["why"]
    assert final["market"] == "replay"
    flat = "emergency_close" in options or "--stop-loss" in options
    assert (final["position"] == "0") is flat
    assert (final["entry_price"] is None) is flat


def test_a_stop_on_the_page_is_a_planned_end(start_bot: BotFactory) -> None:
    bot = start_bot(*GRID, "--interval", "0.2", BOT_WEB_TOKEN="t")
    wait_for(bot, "trading")
    connection = http.client.HTTPConnection("127.0.0.1", bot.port, timeout=5)
    connection.request("POST", "/api/stop", headers={"Authorization": "Bearer t"})
    assert connection.getresponse().status == 202
    assert bot.wait_end() == 0
    assert bot.last_words()["condition"] == {"code": "finished", "params": {"by": "page"}}


@pytest.mark.parametrize(
    ("argv", "code", "reason"),
    [(("--grid-num", "1"), 2, "--grid-num: must be 2-200, not 1"), ((), 3, "live trading on backpack needs")],
)
def test_a_failed_start_says_why(
    start_bot: BotFactory, argv: tuple[str, ...], code: int, reason: str
) -> None:
    bot = start_bot(*MESH, *argv, TRADING_MODE="live")
    assert bot.wait_end() == code
    final = bot.last_words()
    assert (final["contract"], final["final"], final["exit_code"]) == (2, True, code)
    assert final["reason"].startswith(reason)
    assert final["condition"] is None
    assert "open_orders_left" not in final


# paused, out of range


def test_out_of_range_is_said_and_left_again(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    fake.book.move(Decimal("157.5"))
    report = wait_for(bot, "out_of_range")
    assert report["condition"]["params"] == {"price": "157.5", "side": "above", "bound": "156"}
    assert health(bot) == (200, "healthy", "out_of_range")
    fake.book.move(Decimal(150))
    wait_for(bot, "trading")


def test_a_range_moves_only_so_often(start_bot: BotFactory, fake: FakeExchange) -> None:
    moving = ("--enable-boundary-check", "--boundary-action", "adjust_range", "--max-range-moves", "1")
    bot = live(start_bot, fake, *moving)
    settled(bot, fake)
    fake.book.move(Decimal(160))
    bot.wait_for(lambda: bot.status()["range"] == {"lower": "154", "upper": "166"})
    fake.book.move(Decimal(170))
    report = wait_for(bot, "out_of_range")
    assert report["condition"]["params"]["moves_left"] == 0
    bot.kill()
    bot = live(start_bot, fake, *moving)
    assert wait_for(bot, "out_of_range")["range"] == {"lower": "154", "upper": "166"}


def test_paused_is_said(start_bot: BotFactory, fake: FakeExchange) -> None:
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    with sqlite3.connect(bot.db) as db:
        db.execute("UPDATE runs SET paused = 1")
    bot = live(start_bot, fake)
    wait_for(bot, "paused")
    bot.wait_for(lambda: fake.book.own_open() == [])
    assert health(bot) == (200, "healthy", "paused")


def test_nothing_listens(start_bot: BotFactory) -> None:
    env = QUICK | {"GRIDBOT_MARKET": "live", "BACKPACK_API_URL": f"http://127.0.0.1:{ports.reserve()}"}
    bot = start_bot(*MESH, **env)
    report = wait_for(bot, "exchange_away")
    assert report["condition"]["params"]["cause"] == "unreachable"
