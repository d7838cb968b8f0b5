"""Fills by websocket: sooner where there is a socket, and nothing lost where there is none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from gridbot.exchanges.stream import stream_url
from gridbot.exchanges.venues import VENUES
from tests.bot.bots import Bot, BotFactory
from tests.bot.test_live import FAST, MESH, live, settled
from tests.fake_exchange.server import FakeExchange
from tests.fake_exchange.socket import FakeSocket

SLOW = ("--interval", "3")
# An order at 148 is filled, then its counter order at 150, and so on.
PRICES = ("148", "150")
ORDER, FILLS = ("POST", "/api/v1/order"), ("GET", "/wapi/v1/history/fills")


@pytest.fixture
def fake() -> Iterator[FakeExchange]:
    with FakeExchange() as served:
        yield served


@pytest.fixture
def socket(fake: FakeExchange) -> Iterator[FakeSocket]:
    with FakeSocket(fake) as opened:
        yield opened


def listening(start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket) -> Bot:
    bot = live(start_bot, fake, *SLOW, **socket.env)
    settled(bot, fake)
    return bot


def react(bot: Bot, fake: FakeExchange, price: str) -> float:
    """Seconds from a fill to the counter order's arrival."""
    before = set(fake.book.orders)
    fake.book.move(Decimal(price))
    began = time.monotonic()
    bot.wait_for(lambda: set(fake.book.orders) - before)
    return time.monotonic() - began


def test_a_fill_is_answered_long_before_the_next_tick(
    start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket
) -> None:
    bot = listening(start_bot, fake, socket)
    bot.wait_for(lambda: socket.subscribed == [["account.orderUpdate.SOL_USDC_PERP"]])
    took, are_first = [], list[bool]()
    for price in PRICES * 10:
        seen = len(fake.requests)
        took.append(react(bot, fake, price))
        bot.wait_for(lambda: bot.status().get("trades") == len(took))
        made = [request for request in fake.requests[seen:] if request in (ORDER, FILLS)]
        are_first.append(made[0] == ORDER)
        # A tick sees the price, which the next fill then leaves.
        fake.requests.clear()
        bot.wait_for(lambda: ("GET", "/api/v1/ticker") in fake.requests)
        time.sleep(0.3)
        # Not where a tick was under way.
        if len(took) >= 4 and any(are_first):
            break
    assert statistics.median(took) < 1.0, took
    assert any(are_first), "no counter order was sent before the exchange's list was asked"
    assert bot.stop() == 0
    assert fake.book.position() == Decimal(bot.last_words()["position"])
    assert (fake.book.own_open(), fake.book.violations) == ([], [])


def test_it_looks_first_where_it_is_told_to(
    start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket
) -> None:
    bot = live(start_bot, fake, *SLOW, **socket.env, GRIDBOT_STREAM="look")
    settled(bot, fake)
    bot.wait_for(lambda: socket.subscribed)
    seen = len(fake.requests)
    react(bot, fake, "148")
    made = [request for request in fake.requests[seen:] if request in (ORDER, FILLS)]
    assert made[0] == FILLS


@pytest.mark.parametrize("how", ["cut", "never opened", "half open"])
def test_without_a_socket_nothing_is_lost(
    start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket, how: str
) -> None:
    socket.refuses = how == "never opened"
    bot = listening(start_bot, fake, socket)
    if how == "cut":
        bot.wait_for(lambda: socket.subscribed)
        socket.refuses = True
        socket.cut()
    elif how == "half open":
        bot.wait_for(lambda: socket.subscribed)
        socket.is_silent = True
    for price in PRICES:
        assert react(bot, fake, price) < 12
    assert bot.stop() == 0
    assert fake.book.position() == Decimal(bot.last_words()["position"])
    assert (fake.book.own_open(), fake.book.violations, socket.sent) == ([], [], 0)


def test_a_socket_that_was_cut_is_opened_again(
    start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket
) -> None:
    bot = listening(start_bot, fake, socket)
    bot.wait_for(lambda: socket.subscribed)
    socket.cut()
    bot.wait_for(lambda: len(socket.subscribed) == 2)
    react(bot, fake, "148")
    assert socket.sent == 1


def test_only_a_live_bot_of_an_exchange_that_has_one_opens_a_socket(
    start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket
) -> None:
    bot = live(start_bot, fake, *SLOW, **socket.env, GRIDBOT_STREAM="off")
    settled(bot, fake)
    assert bot.stop() == 0
    paper = {**fake.env, **FAST, **socket.env, "GRIDBOT_MARKET": "live"}
    bot = start_bot(*MESH, *SLOW, **paper, DB_PATH=str(bot.folder / "paper.db"))
    bot.wait_healthy()
    time.sleep(1)
    assert socket.subscribed == []
    for exchange in VENUES:
        assert stream_url(exchange, {}) == ""
        assert stream_url(exchange, {f"{exchange.upper()}_API_URL": "http://127.0.0.1:1"}) is None
