"""A bot's share of its exchange's requests: kept, with a reserve for cancels, and never a trap."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from gridbot.model.errors import UnreachableError
from gridbot.runtime.pace import HURRY_S, MOST_PAUSE_S, MOST_WAIT_S, Pace
from tests.bot.bots import GRID, BotFactory
from tests.bot.kits.aster import Aster
from tests.fake_exchange.book import Book
from tests.fake_exchange.limits import Limits, Refusal, Rules, Scope, Window
from tests.fake_exchange.server import FakeExchange

NOW = 1_764_500_000.0


class World:
    """A clock, and a share of 60 requests a minute: one a second, five at once, 12 a minute for cancels."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.now, self.path, self.is_stopping = 0.0, path, False
        self.tell(**changes)
        self.pace = Pace(path, lambda: self.is_stopping, lambda: self.now, lambda: NOW + self.now, self.sleep)

    def tell(self, **changes: Any) -> None:
        content = {"schema": 1, "a_minute": 60, "for_cancels": 12, "tick": 2, "weights": {}, **changes}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(content))
        part.replace(self.path)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def call(self, name: str = "fetch_ticker", *, is_cancel: bool = False) -> float:
        """The seconds that a request waits."""
        before = self.now
        self.pace.before_call(name, lambda: None, is_cancel=is_cancel)
        return self.now - before


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "requests.json")


def test_an_address_that_is_nearly_used_up_waits_for_the_next_minute(world: World) -> None:
    world.pace.note_used(0.89)
    assert world.pace.pause() == 0
    world.pace.note_used(0.9)
    assert world.pace.pause() == 60 - NOW % 60
    assert world.call("cancel_order", is_cancel=True) == 0
    world.now += 60 - NOW % 60
    assert world.pace.pause() == 0
    alone = Pace(clock=lambda: world.now, wall=lambda: NOW + world.now)
    alone.note_used(1.2)
    assert alone.pause() == 60
    alone.hurry()
    assert alone.pause() == 0, "a position that is to be closed does not wait"


def test_aster_says_what_the_address_has_used() -> None:
    kit = Aster()
    fetch, used = kit.api.fetch, ["2100", "2160"]

    def answered(*args: Any) -> Any:
        answer = fetch(*args)
        kit.api.last_response_headers = CaseInsensitiveDict({"x-mbx-used-weight-1m": used.pop(0)})
        return answer

    kit.api.fetch = answered
    kit.adapter.price()
    assert kit.adapter._pace.pause() == 0
    kit.adapter.price()
    assert 0 < kit.adapter._pace.pause() <= 60


def test_a_minute_sees_its_share_and_one_burst(world: World) -> None:
    while world.now < 600:
        world.call()
        sent = world.now
    assert [world.call() for _ in range(3)] == pytest.approx([1.0] * 3, abs=0.2)
    assert sent <= 601


def test_a_burst_and_what_comes_after(world: World) -> None:
    assert sum(world.call() for _ in range(5)) == 0
    assert world.call() == pytest.approx(1.0, abs=0.11)


def test_a_heavy_call_weighs(world: World) -> None:
    world.tell(weights={"fetch_my_trades": 5})
    world.pace.read()
    assert world.call("fetch_my_trades") == 0
    assert world.call() == pytest.approx(1.0, abs=0.11)


def test_orders_that_are_counted_apart_wait_for_their_own_share_and_nothing_else_does(world: World) -> None:
    world.tell(a_minute=600, orders=30)
    world.pace.read()
    world.sleep(60)
    assert sum(world.call("create_order") for _ in range(2)) == 0, "five seconds' worth at once"
    assert world.call("create_order") == pytest.approx(1.0, abs=0.2)
    assert world.call("fetch_ticker") == 0
    assert world.call("cancel_order", is_cancel=True) == 0
    assert sum(world.call("create_order") for _ in range(30)) == pytest.approx(60, abs=4)
    world.pace.hurry()
    assert world.call("create_order") == 0, "a position has to be closed"


def test_a_cancel_waits_for_nothing_and_ticks_pay_for_it(world: World) -> None:
    for _ in range(5):
        world.call()
    assert sum(world.call("cancel_order", is_cancel=True) for _ in range(30)) == 0
    assert world.pace.pause() == pytest.approx(26 + 2, abs=0.2), "four of them were the reserve's"


def test_a_hundred_cancels_do_not_silence_a_bot(world: World) -> None:
    for _ in range(1000):
        assert world.call("cancel_order", is_cancel=True) == 0
    assert world.pace.pause() <= 62.1


def test_a_whole_tick_has_its_room(world: World) -> None:
    for _ in range(5):
        world.call()
    assert world.pace.pause() == pytest.approx(2.0, abs=0.01)
    world.now += 2
    assert world.pace.pause() == 0
    assert world.call() + world.call() == 0


def test_nothing_waits_once_orders_are_to_be_cancelled(world: World) -> None:
    world.pace.release()
    assert sum(world.call("fetch_open_orders") for _ in range(50)) == 0
    assert world.pace.pause() == 0


def test_a_position_that_is_to_be_closed_waits_for_nothing_for_a_minute(world: World) -> None:
    for _ in range(5):
        world.call()
    world.pace.hurry()
    assert sum(world.call(name) for name in ("fetch_ticker", "fetch_open_orders", "create_order") * 5) == 0
    assert world.pace.pause() == 0
    world.now += HURRY_S
    for _ in range(5):
        world.call()
    assert world.call() > 0, "an exchange that refuses to close it is not asked for ever"


def test_a_limit_leaves_out_what_the_share_made_wait_up_to_a_limit_of_its_own(world: World) -> None:
    is_over = world.pace.limit(5, 20)
    calls = 0
    while not is_over():
        world.call()
        calls += 1
    assert calls == pytest.approx(20 + 5, abs=2)
    is_over = world.pace.limit(5, 20)
    world.now += 5.1
    assert is_over(), "the exchange itself was slow"


@pytest.mark.parametrize(("a_minute", "seconds"), [(None, 30), (600, 30), (12, 100), (2, 300)])
def test_looks_are_rarer_with_a_small_share(world: World, a_minute: float | None, seconds: float) -> None:
    world.tell(a_minute=a_minute)
    world.pace.read()
    assert world.pace.spacing("fetch_positions", 30, 300) == pytest.approx(seconds)


def test_a_stop_ends_a_wait(world: World) -> None:
    for _ in range(5):
        world.call()
    world.is_stopping = True
    assert world.call() == 0


def test_a_new_share_is_read_between_two_ticks(world: World) -> None:
    for _ in range(5):
        world.call()
    world.tell(a_minute=600)
    assert world.pace.pause() == pytest.approx(0.2, abs=0.01)


def test_a_ban_of_the_address_is_kept_and_ends(world: World) -> None:
    world.tell(banned_until=NOW + 100)
    world.pace.read()
    with pytest.raises(UnreachableError) as caught:
        world.call()
    assert (caught.value.cause, caught.value.retry_after) == ("rate_limited", 100)
    assert world.call("cancel_order", is_cancel=True) == 0
    assert world.call("create_order") == 0, "refused here, it would count as sent"
    world.now = 101
    assert world.call() == 0


HOSTILE: list[Any] = [
    "",
    "{",
    "[]",
    "[" * 4000,
    " " * 5000,
    {"a_minute": "60"},
    {"a_minute": True},
    {"a_minute": 0},
    {"a_minute": -60},
    {"a_minute": 1e-9},
    '{"a_minute": NaN}',
    '{"a_minute": 1' + "0" * 400 + "}",
    {"a_minute": 60, "tick": 1e9},
    {"a_minute": 60, "for_cancels": -1},
    {"a_minute": 60, "weights": []},
    {"a_minute": 60, "banned_until": "2099"},
    {"a_minute": 60, "banned_until": [NOW]},
]


@pytest.mark.parametrize("content", HOSTILE)
def test_a_file_that_cannot_be_used_is_as_none(world: World, content: Any) -> None:
    world.path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert world.pace.pause() == 0
    assert world.pace.share is None
    assert sum(world.call() for _ in range(1000)) == 0


def test_so_is_none_a_folder_a_pipe_and_a_link(world: World) -> None:
    other = world.path.with_name("other")
    world.path.rename(other)
    puts: list[Callable[[], object]] = [
        lambda: None,
        world.path.mkdir,
        lambda: os.mkfifo(world.path),
        lambda: world.path.symlink_to(other),
    ]
    for put in puts:
        put()
        assert world.pace.pause() == 0
        assert world.pace.share is None
        if world.path.is_dir() and not world.path.is_symlink():
            world.path.rmdir()
        else:
            world.path.unlink(missing_ok=True)
    assert Pace().pause() == 0


@pytest.mark.parametrize(
    "content", [{"a_minute": 0.1, "tick": 1000}, {"a_minute": 0.1, "weights": {"fetch_ticker": 1000}}]
)
def test_the_worst_that_can_be_used_delays_and_no_more(tmp_path: Path, content: dict[str, Any]) -> None:
    world = World(tmp_path / "requests.json", **content)
    for _ in range(3):
        assert world.call() <= MOST_WAIT_S + 0.2
        assert world.pace.pause() <= MOST_PAUSE_S


def test_a_ban_until_2099_is_not_believed(world: World) -> None:
    world.tell(banned_until=4_070_908_800)
    world.pace.read()
    assert world.call() == 0


def test_a_tick_takes_what_the_table_says_and_orders_come_many_in_a_tick(
    start_bot: BotFactory, tmp_path: Path
) -> None:
    """With 60 a minute a tick of three calls comes every three seconds, and an order weighs as much here."""
    share = tmp_path / "requests.json"
    share.write_text(json.dumps({"a_minute": 60, "tick": 3, "weights": {"create_order": 3}}))
    ticks = Counted(Rules(()))
    with FakeExchange(Book(), limits=ticks) as fake:
        argv = (*GRID, "--interval", "0.1", "--grid-num", "11")
        bot = start_bot(*argv, TRADING_MODE="live", BOTFLEET_REQUESTS=str(share), **fake.env)
        bot.wait_for(lambda: len(fake.book.own_open()) == 10, within=90)
        assert ticks.good < 4, "ten orders were placed in few ticks"
        ticks.good, began = 0, time.monotonic()
        bot.wait_for(lambda: ticks.good >= 8, within=60)
        gap = (time.monotonic() - began) / 8
        assert 2.4 < gap < 3.8


@dataclass
class Counted(Limits):
    """Limits that count the questions for the open orders."""

    good: int = 0

    def next(self, address: str, account: str | None, method: str, path: str) -> Refusal | None:
        self.good += (method, path) == ("GET", "/api/v1/orders")
        return super().next(address, account, method, path)


def test_a_live_bot_keeps_to_its_share_and_trades(start_bot: BotFactory, tmp_path: Path) -> None:
    """Ten ticks a second would be 1,200 requests a minute, and its share is 120."""
    limits = Limits(Rules((Window(Scope.ADDRESS, 60, 150),), ban_after=5))
    share = tmp_path / "requests.json"
    share.write_text(json.dumps({"a_minute": 120, "for_cancels": 12, "tick": 2}))
    with FakeExchange(Book(), limits=limits) as fake:
        bot = start_bot(
            *GRID, "--interval", "0.1", TRADING_MODE="live", BOTFLEET_REQUESTS=str(share), **fake.env
        )
        bot.wait_for(lambda: len(fake.book.own_open()) == 20, within=60)
        began, before = time.monotonic(), limits.requests
        time.sleep(10)
        a_minute = (limits.requests - before) * 60 / (time.monotonic() - began)
        assert 60 < a_minute < 150
        assert (limits.refused, limits.bans) == (0, 0)
        stopped = time.monotonic()
        assert bot.stop() == 0
        assert time.monotonic() - stopped < 20, "the cancels waited for nothing"
        assert fake.book.own_open() == []
