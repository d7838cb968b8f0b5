"""What an update of the websocket says of an order, and what says nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges.stream import FillStream
from gridbot.exchanges.told_fills import READERS, told_fill
from gridbot.exchanges.venues import VENUES
from gridbot.model.types import Side, ToldFill
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.trading import loop
from gridbot.trading.fill_watch import MOST_WORDS, TOLD_AFTER_S, FillWatch
from tests.bot.bots import GRID
from tests.bot.kits.backpack import Backpack

D = Decimal
SYMBOL = "SOL/USDC:USDC"
# As docs.backpack.exchange has it, "Order update" of the private streams (2025-11-12).
FILLED: Mapping[str, Any] = {
    "e": "orderFill",
    "E": 1694687692980000,
    "s": "SOL_USDC_PERP",
    "c": 42,
    "S": "Bid",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.10",
    "p": "148.00",
    "X": "Filled",
    "i": "4000000001",
    "t": 901,
    "l": "0.06",
    "z": "0.1",
    "Z": "14.8",
}
WORD = ToldFill("4000000001", 42, Side.BUY, D(148), D("0.1"), D("0.1"))
PART = {"X": "PartiallyFilled", "z": "0.04", "l": "0.01"}
NO_NUMBERS: tuple[Any, ...] = (None, "", "x", "NaN", "Infinity", "-0.1", "0", 0.1, True, [], {})
NO_IDS: tuple[Any, ...] = (None, "", "x", True, -1, 4.2, "-3", [], {})


def read(change: Mapping[str, Any]) -> ToldFill | None:
    return told_fill("backpack", {"symbol": SYMBOL, "info": {**FILLED, **change}}, SYMBOL)


def test_a_fill_is_read_with_all_that_tells_the_order() -> None:
    assert read({}) == WORD
    assert read({"c": "42", "S": "Ask"}) == ToldFill("4000000001", 42, Side.SELL, D(148), D("0.1"), D("0.1"))
    # What was filled so far, and not what was filled last.
    assert read(PART) == ToldFill("4000000001", 42, Side.BUY, D(148), D("0.1"), D("0.04"))


def test_the_same_through_ccxts_own_class() -> None:
    kit = Backpack()
    stream = FillStream("backpack", kit.keys, "", lambda: None, {})
    parsed = stream.client(kit.api.markets).parse_ws_order(dict(FILLED))
    assert told_fill("backpack", parsed, SYMBOL) == WORD


@pytest.mark.parametrize("key", ["q", "p", "z"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_amount_is_no_word(key: str, value: Any) -> None:
    assert read({key: value}) is None


@pytest.mark.parametrize("value", NO_IDS, ids=repr)
def test_what_is_no_id_is_no_word(value: Any) -> None:
    assert read({"c": value}) is None
    assert read({"i": value}) is None or value in ("x", "-3"), "the exchange's own may be any text"


@pytest.mark.parametrize(
    "change",
    [
        {"e": "orderCancelled"},
        {"e": None},
        {"o": "MARKET"},
        {"S": "Buy"},
        {"S": None},
        {"X": "Cancelled"},
        {"X": "PartiallyFilled"},  # all of it
        {"X": None},
        {**PART, "X": "Filled"},
        {**PART, "X": "Expired"},
        {"z": "0.2"},
    ],
    ids=repr,
)
def test_what_contradicts_itself_or_tells_of_something_else_is_no_word(change: dict[str, Any]) -> None:
    assert read(change) is None


@pytest.mark.parametrize(
    "update", [None, [], "x", {}, {"symbol": SYMBOL}, {"symbol": SYMBOL, "info": [FILLED]}]
)
def test_an_update_of_another_shape_is_no_word(update: Any) -> None:
    assert told_fill("backpack", update, SYMBOL) is None


def test_one_exchanges_words_say_nothing_of_another_or_another_market() -> None:
    assert set(READERS) == set(VENUES)
    update = {"symbol": SYMBOL, "info": dict(FILLED)}
    for exchange in VENUES:
        assert (told_fill(exchange, update, SYMBOL) is None) is (exchange != "backpack")
    assert told_fill("backpack", update, "ETH/USDC:USDC") is None
    assert told_fill("another", update, SYMBOL) is None


def test_what_is_told_is_handed_on_before_the_loop_is_woken() -> None:
    watch = FillWatch(StopSignal())
    stream = FillStream("backpack", Backpack.keys, "", watch.wake, {}, watch._words.append)
    stream._look([{"symbol": SYMBOL, "info": dict(FILLED)}], SYMBOL)
    assert (watch.take(), watch.words(), watch.words()) == (True, [WORD], [])
    # What says nothing is a reason to look all the same.
    stream._look([{"symbol": SYMBOL, "info": {**FILLED, "z": None}}], SYMBOL)
    assert (watch.take(), watch.words()) == (True, [])
    for _ in range(MOST_WORDS + 1):
        stream._look([{"symbol": SYMBOL, "info": dict(FILLED)}], SYMBOL)
    assert len(watch.words()) == MOST_WORDS


def test_the_lists_are_asked_soon_while_an_order_rests_on_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "publish", lambda *_args: None)
    pauses, stop = list[float](), StopSignal()
    watch = FillWatch(stop)

    def wait(_shared: SharedState, _stop: StopSignal, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 3:
            stop.set("enough")
        watch._words.append(WORD)
        watch.wake()

    monkeypatch.setattr(loop, "wait", wait)
    told, engine = list[list[ToldFill]](), SimpleNamespace(awaits_proof=False)
    engine.settings, engine.shared = args.parse([*GRID, "--interval", "30"], {}), SharedState(1.0)

    def react(words: list[ToldFill]) -> None:
        told.append(words)
        engine.awaits_proof = len(told) == 1

    engine.tick, engine.react = time.monotonic, react
    switch: Any = SimpleNamespace(renew=lambda: None)
    loop.run_loop(engine, stop, Any, switch, Pace(), watch)  # type: ignore[arg-type]
    assert told == [[WORD], [WORD]]
    assert [pause <= loop.PROOF_EVERY_S for pause in pauses] == [False, True, False]


class Looped:
    """The loop on a clock of its own, with an engine that only notes what it is asked for.

    Each pause ends after `woken_after` seconds by a word, until there were `most` of them.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, woken_after: float, most: int) -> None:
        self.now, self.told = 1000.0, 0
        self.ticks, self.reactions = list[float](), list[tuple[float, int]]()
        self.pauses = list[float]()
        self._woken_after, self._most = woken_after, most
        self._stop = StopSignal()
        self._watch = FillWatch(self._stop)
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)
        for name, own in (("time", clock), ("wait", self._wait), ("publish", lambda *_args: None)):
            monkeypatch.setattr(loop, name, own)

    def run(self, interval: float) -> None:
        settings = args.parse([*GRID, "--interval", str(interval)], {})
        engine: Any = SimpleNamespace(settings=settings, shared=SharedState(1.0), awaits_proof=False)
        engine.tick, engine.react = self._tick, self._react
        switch: Any = SimpleNamespace(renew=lambda: None)
        loop.run_loop(engine, self._stop, Any, switch, Pace(), self._watch)  # type: ignore[arg-type]

    def _wait(self, _shared: SharedState, _stop: StopSignal, pause: float) -> None:
        self.pauses.append(pause)
        if self.told == self._most:
            self._stop.set("enough")
            return
        self.now += self._woken_after
        self.told += 1
        self._watch._words.append(WORD)
        self._watch.wake()

    def _tick(self) -> None:
        self.ticks.append(self.now)
        self.now += 0.3

    def _react(self, words: list[ToldFill]) -> bool:
        self.reactions.append((self.now, len(words)))
        self.now += 0.2
        return False


def test_a_word_that_waits_when_a_tick_is_due_is_answered_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Looped(monkeypatch, woken_after=1.5, most=1)
    late.run(interval=1.0)
    assert [count for _at, count in late.reactions] == [1]
    assert late.reactions[0][0] < late.ticks[1], "the tick asks for three lists before it places anything"


def test_a_word_does_not_put_off_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    between = Looped(monkeypatch, woken_after=2.0, most=1)
    between.run(interval=10.0)
    assert between.pauses == pytest.approx([9.7, 7.5])


def test_a_flood_of_words_loses_none_and_delays_no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Looped(monkeypatch, woken_after=0.05, most=200)
    flood.run(interval=1.0)
    assert sum(count for _at, count in flood.reactions) == flood.told
    gaps = [after - before for before, after in pairwise(flood.ticks)]
    assert len(gaps) > 20
    assert max(gaps) < 2.0, "an interval, and what was under way when it was over"


class Socket:
    """A stream that notes how often it was opened anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard_at, self.reopened, self.now = float("-inf"), 0, 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("gridbot.trading.fill_watch.time", clock)
        self.watch = FillWatch(StopSignal())
        self.watch._stream, self.watch._opened_at = self, self.now  # type: ignore[assignment]
        self.watch.note_trades(0)

    def reopen(self) -> None:
        self.reopened += 1

    def ticks(self, seconds: float, trades: int) -> None:
        """So much time passes, and so many trades are booked from its beginning."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.watch.note_trades(trades)


def test_a_socket_that_does_not_tell_of_what_is_booked_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    socket = Socket(monkeypatch)
    socket.ticks(300, trades=0)
    assert socket.reopened == 0, "a market on which nothing happens"
    socket.ticks(TOLD_AFTER_S, trades=1)
    assert socket.reopened == 0, "the list may be ahead"
    socket.ticks(5, trades=1)
    assert socket.reopened == 1
    # Trade after trade of which it never tells: after 1, 2, 4 ... minutes again.
    for trade in range(2, 62):
        socket.ticks(60, trades=trade)
    assert 4 <= socket.reopened <= 8


@pytest.mark.parametrize("after", [-20.0, 0.0, 8.0])
def test_a_socket_that_tells_before_or_after_the_list_stays_open(
    monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    socket = Socket(monkeypatch)
    socket.ticks(100, trades=0)
    if after <= 0:
        socket.heard_at = socket.now + after
        socket.ticks(60, trades=1)
    else:
        socket.ticks(after, trades=1)
        socket.heard_at = socket.now
        socket.ticks(60, trades=1)
    assert socket.reopened == 0


def test_without_a_socket_nothing_is_opened_anew() -> None:
    watch = FillWatch(StopSignal())
    assert not watch.is_open
    watch.note_trades(0)
    watch.note_trades(1)
