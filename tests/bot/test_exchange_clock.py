"""The exchange's clock: what is signed bears its time, also when one of the two is set during the run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gridbot.config import args
from gridbot.exchanges import ccxt_calls
from gridbot.exchanges.ccxt_errors import may_be_of_clock
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import RejectedError
from tests.bot.bots import GRID
from tests.fake_exchange.book import Book
from tests.fake_exchange.server import FakeExchange

# What a test sets is not what the exchange's clock goes by.
TRUE_TIME = time.time
GONE_S = 2 * ccxt_calls.CLOCK_AGAIN_S


class Clocks:
    """A bot's adapter on an exchange whose clock the test sets."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.fake = FakeExchange(Book(clock=lambda: TRUE_TIME() + self.ahead))

    def connect(self) -> CcxtExchange:
        keys = {"apiKey": self.fake.key, "secret": self.fake.secret}
        exchange = CcxtExchange(args.parse(GRID, {}), keys, self.fake.env)
        exchange.market()
        assert exchange.open_orders() == []
        return exchange


@pytest.fixture
def clocks() -> Iterator[Clocks]:
    made = Clocks()
    with made.fake:
        yield made


@pytest.mark.parametrize("step", [-180.0, -7.0, 7.0, 180.0, 86400.0])
def test_a_clock_of_the_exchange_that_moved_away_is_read_after_the_first_refusal(
    clocks: Clocks, step: float
) -> None:
    exchange = clocks.connect()
    clocks.ahead = step
    with pytest.raises(RejectedError):
        exchange.open_orders()
    exchange._clock_read_at -= GONE_S
    with pytest.raises(RejectedError):
        exchange.open_orders()
    assert exchange.open_orders() == []
    assert exchange.clock_ahead == pytest.approx(max(-step, 0.0), abs=2)


@pytest.mark.parametrize("step", [-86400.0, -180.0, -7.0, 7.0, 180.0])
def test_a_clock_of_the_machine_that_is_set_is_noticed_before_the_next_signature(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    exchange = clocks.connect()
    monkeypatch.setattr(time, "time", lambda: TRUE_TIME() + step)
    assert exchange.open_orders() == []
    assert exchange.fills(time.time() - 60) == []
    assert exchange.clock_ahead == pytest.approx(max(step, 0.0), abs=2)


def test_a_clock_that_could_not_be_read_at_the_start_is_read_after_a_refusal(clocks: Clocks) -> None:
    clocks.ahead = -180.0
    keys = {"apiKey": clocks.fake.key, "secret": clocks.fake.secret}
    exchange = CcxtExchange(args.parse(GRID, {}), keys, clocks.fake.env)
    read, exchange._api.publicGetApiV1Time = exchange._api.publicGetApiV1Time, lambda: None
    exchange.market()
    exchange._api.publicGetApiV1Time = read
    exchange._clock_read_at -= GONE_S
    with pytest.raises(RejectedError):
        exchange.open_orders()
    assert exchange.open_orders() == []


def test_an_exchange_without_a_clock_is_taken_to_have_this_one(clocks: Clocks) -> None:
    exchange = clocks.connect()
    exchange._api.has = {**exchange._api.has, "fetchTime": False}
    exchange._clock_read_at = -ccxt_calls.CLOCK_EVERY_S
    assert exchange.open_orders() == []
    assert exchange.clock_offset() is None
    assert exchange.clock_ahead == 0


def test_a_refusal_for_another_reason_does_not_doubt_the_clock(clocks: Clocks) -> None:
    errors = clocks.connect()._errors
    assert not may_be_of_clock(errors.InsufficientFunds('backpack {"code":"INSUFFICIENT_FUNDS"}'))
    assert not may_be_of_clock(errors.NetworkError("connection reset"))
