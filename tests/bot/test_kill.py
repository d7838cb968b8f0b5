"""SIGKILL at random moments, on an exchange where everything goes wrong: nothing doubled, nothing lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from tests import cases
from tests.bot.bots import GRID, Bot, BotFactory
from tests.fake_exchange.book import Book
from tests.fake_exchange.faults import Faults
from tests.fake_exchange.server import FakeExchange
from tests.fake_exchange.socket import FakeSocket

SEED = 20251130
SHORT, LONG = {"perp_grid": 5, "grid": 2, "standard": 2}, 300
"""How often the bot is killed."""
WORDS = 80
"""How often while it acts on a word."""
QUOTES = ("--spread", "0.6", "--max-orders", "3", "--max-position", "0.5", "--quantity", "0.1")
STRATEGIES = {
    "perp_grid": GRID,
    "grid": (*("grid" if word == "perp_grid" else word for word in GRID), "--market-type", "perp"),
    "standard": (
        *GRID[: GRID.index("--strategy")],
        "--strategy",
        "standard",
        "--market-type",
        "perp",
        *QUOTES,
    ),
}
# Read once at each start, and boring: a fault there only makes the test longer.
SETTING_UP = frozenset({"/api/v1/assets", "/api/v1/markets", "/api/v1/securities"})


@contextmanager
def moving(book: Book, seed: int, step: Decimal = Decimal("0.25"), every: float = 0.01) -> Iterator[None]:
    """The market wanders between 141 and 159 while the block runs."""
    done, chance = threading.Event(), random.Random(seed)

    def walk() -> None:
        while not done.wait(every):
            price = book.price + step * chance.choice((-1, 0, 1))
            book.move(min(max(price, Decimal(141)), Decimal(159)))

    thread = threading.Thread(target=walk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def live(start_bot: BotFactory, fake: FakeExchange, *argv: str, **env: str) -> Bot:
    return start_bot(
        "--interval",
        "0.1",
        *argv,
        TRADING_MODE="live",
        GRIDBOT_EXCHANGE_TIMEOUT="0.6",
        GRIDBOT_RECV_WINDOW_MS="900",
        GRIDBOT_RATE_LIMIT_MS="2",
        **fake.env,
        **env,
    )


def after_requests(fake: FakeExchange, count: int, within: float = 5.0) -> None:
    """Wait until the exchange was asked `count` times, a moment that doesn't depend on the machine."""
    start, deadline = len(fake.requests), time.monotonic() + within
    while len(fake.requests) < start + count and time.monotonic() < deadline:
        time.sleep(0.002)


def kill_at_an_order(
    fake: FakeExchange, bot: Bot, chance: random.Random, within: float, most: int = 11
) -> None:
    """Kill the bot while the exchange carries out one of its next orders or cancellations."""
    moments = chance.randrange(1, most + 1)
    killed = threading.Event()

    def tap(moment: str) -> None:
        nonlocal moments
        moments -= 1
        if moments <= 0 and not killed.is_set():
            bot.kill()
            killed.set()

    fake.tap = tap
    killed.wait(within)
    fake.tap = lambda moment: None


def assert_equal_trades(bot: Bot, book: Book) -> None:
    there = sorted((str(f.id), f.order.id, f.price, f.qty, f.fee) for f in book.fills if not f.order.foreign)
    rows = bot.query("SELECT trade_id, exchange_id, price, qty, fee FROM trades")
    here = sorted((row[0], row[1], *(Decimal(text) for text in row[2:])) for row in rows)
    assert here == there


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_random_moments(start_bot: BotFactory, strategy: str) -> None:
    kills = LONG if cases.is_long else SHORT[strategy]
    argv = STRATEGIES[strategy]
    chance = random.Random(SEED)
    book = Book(partial_fills=0.3, history_lag=0.15, seed=SEED)
    foreign = [
        book.place("Bid", "Limit", Decimal(145), Decimal(3), 77, foreign=True),
        book.place("Ask", "Limit", Decimal(155), Decimal(2), None, foreign=True),
        book.place("Bid", "Limit", Decimal(140), Decimal("0.1"), 4_000_000_000, foreign=True),
    ]
    faults = Faults(rate=0.12, latency=(0.0, 0.03), hang_s=0.8, seed=SEED, spared=SETTING_UP)
    with FakeExchange(book, faults) as fake:
        with moving(book, SEED):
            for _ in range(kills):
                bot = live(start_bot, fake, *argv)
                match chance.choice(("any time", "ordering", "ordering", "stopping")):
                    case "any time":
                        after_requests(fake, chance.randrange(1, 60))
                        time.sleep(chance.uniform(0, 0.05))
                    case "ordering":
                        kill_at_an_order(fake, bot, chance, within=5.0)
                    case "stopping":
                        after_requests(fake, chance.randrange(8, 40))
                        bot.term()
                        kill_at_an_order(fake, bot, chance, within=2.0)
                bot.kill()
                assert book.violations == []
            faults.rate = 0.0
            bot = live(start_bot, fake, *argv)
            # On a busy machine a bot may be killed before it has ordered much: this one makes up for it.
            bot.wait_for(
                lambda: len(book.fills) > max(kills, 10) and len(book.orders) > 20 + kills,
                within=90 + 2 * kills,
            )
        bot.wait_for(lambda: bot.status().get("open_orders") and not bot.status().get("unsettled"))
        assert bot.stop() == 0, bot.output()

    assert book.violations == [], bot.output()
    assert book.own_open() == []
    assert all(order.open for order in foreign)
    assert bot.last_words()["open_orders_left"] == 0
    assert bot.last_words()["confirmed"] is True
    assert bot.query("PRAGMA integrity_check") == [("ok",)]
    assert_equal_trades(bot, book)
    position = sum(
        (Decimal(q) if s == "buy" else -Decimal(q)) for s, q in bot.query("SELECT side, qty FROM trades")
    )
    assert position == book.position()
    assert bot.query("SELECT count(DISTINCT client_id) = count(*) FROM orders") == [(1,)]
    print(f"{kills} kills, {len(book.orders)} orders, {len(book.fills)} fills, faults: {faults.counts}")


def listening(start_bot: BotFactory, fake: FakeExchange, socket: FakeSocket, *argv: str) -> Bot:
    """A bot whose grid rests, and that is told of fills."""
    opened = len(socket.subscribed)
    bot = live(start_bot, fake, *argv, **socket.env)
    bot.wait_for(lambda: len(socket.subscribed) > opened, within=300)
    bot.wait_for(lambda: bot.status().get("open_orders") and not bot.status().get("unsettled"), within=300)
    after_requests(fake, 4)
    return bot


@pytest.mark.long_form
@pytest.mark.parametrize("strategy", ["grid", "perp_grid"])
def test_killed_while_it_acts_on_the_sockets_word(start_bot: BotFactory, strategy: str) -> None:
    """Once the grid rests a level is filled, and the bot is killed at some moment of its answer to that.

    Every third time the socket tells of a fill that never was; test_told_orders.py has the same in steps.
    """
    chance, book = random.Random(SEED), Book(history_lag=0.05, seed=SEED)
    foreign = book.place("Bid", "Limit", Decimal(130), Decimal(1), 77, foreign=True)
    argv = (*STRATEGIES[strategy], "--interval", "1", "--grid-lower", "145", "--grid-upper", "155")
    argv = (*argv, "--grid-num", "11")
    with FakeExchange(book) as fake, FakeSocket(fake) as socket:
        for cycle in range(WORDS):
            bot = listening(start_bot, fake, socket, *argv)
            near = [one for one in book.own_open() if abs((one.price or 0) - book.price) <= 1]
            order = chance.choice(near or book.own_open())
            if cycle % 3 == 0:
                lie = replace(order, filled=order.qty, status="Filled")
                socket.fake.book.on_fill(lie)
            else:
                book.move(order.price or book.price)
            if chance.random() < 0.7:
                kill_at_an_order(fake, bot, chance, within=chance.uniform(0.05, 3.0), most=3)
            else:
                time.sleep(chance.uniform(0, 0.2))
            bot.kill()
            assert book.violations == []
        bot = listening(start_bot, fake, socket, *argv)
        bot.wait_for(lambda: len(bot.query("SELECT 1 FROM trades")) == len(book.fills), within=60)
        assert bot.stop() == 0, bot.output()
    assert book.violations == [], bot.output()
    assert (book.own_open(), foreign.open) == ([], True)
    assert_equal_trades(bot, book)
    assert bot.last_words()["open_orders_left"] == 0
    assert Decimal(bot.last_words()["position"]) == book.position()
    # The record has them as what they are, the exchange as orders that never take.
    exits = bot.query("SELECT exchange_id FROM orders WHERE NOT post_only AND exchange_id IS NOT NULL")
    on_word = sum(book.orders[exchange_id].post_only for (exchange_id,) in exits)
    print(f"{WORDS} kills, {len(book.orders)} orders, {on_word} exits on a word, {len(book.fills)} fills")
    assert on_word > WORDS // 10
