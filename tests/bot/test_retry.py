"""Pauses, outages and refusals: when the bot tries again, and what it says meanwhile."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.config import args
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ExchangeError, RejectedError, UnauthorizedError, UnreachableError
from gridbot.model.types import Order, Side
from gridbot.runtime.pace import Pace
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.trading import loop
from gridbot.trading.fill_watch import FillWatch
from gridbot.trading.outage import Outage
from gridbot.trading.refusals import MIN_REFUSALS, PARTIAL_AFTER_S, SLOWER, Refusals
from gridbot.trading.retry import BAN_LIMIT_S, RETRY_AFTER_LIMIT_S, RetryPauses, wait
from tests.bot.bots import GRID
from tests.bot.test_reconcile import D
from tests.fake_exchange.book import RefusalError
from tests.fake_exchange.faults import Fault
from tests.fake_exchange.server import FakeExchange


def pauses(seed: int, cap: float = 60.0) -> RetryPauses:
    return RetryPauses(2.0, cap, random.Random(seed))


def test_pauses_grow_up_to_the_cap() -> None:
    retry = pauses(1)
    values = [retry.next() for _ in range(2000)]
    for i, full in enumerate((2, 4, 8, 16, 32, 60, 60)):
        assert full / 2 <= values[i] <= full
    assert max(values) <= 60
    retry.reset()
    assert retry.next() <= 2


def test_bots_that_fall_together_come_back_apart() -> None:
    bots = [RetryPauses(2.0, 60.0) for _ in range(5)]
    totals = sorted(sum(bot.next() for _ in range(8)) for bot in bots)
    assert totals[-1] - totals[0] > 1


@pytest.mark.parametrize(
    ("cause", "asked", "least"),
    [
        ("banned", 30, 30),
        ("banned", 86400, 86400),
        ("banned", 1e9, BAN_LIMIT_S),
        ("rate_limited", 30, 30),
        ("maintenance", 86400, RETRY_AFTER_LIMIT_S),
        ("banned", None, 0),
    ],
)
def test_a_ban_is_waited_out_whole_and_a_maintenance_looked_at(
    cause: str, asked: float | None, least: float
) -> None:
    err = UnreachableError("no", cause=cause, retry_after=asked)
    assert least + 1 <= pauses(1).after(err) <= least + 2


def test_the_wait_shows_that_the_loop_is_alive() -> None:
    shared, stop = SharedState(1.0), StopSignal()
    assert wait(shared, stop, 0.05) is False
    age = shared.last_tick_age
    assert age is not None
    assert age < 1
    stop.set("enough")
    assert wait(shared, stop, 60) is True


def test_an_outage_is_declared_after_a_while() -> None:
    outage = Outage(10.0)
    assert outage.condition(3) is None
    outage.record(UnreachableError("no answer", cause="unreachable"), 100.0)
    assert outage.condition(3) is None
    outage.record(UnreachableError("no answer", cause="unreachable"), 110.0)
    assert outage.condition(3) is not None
    outage.clear()
    outage.record(UnreachableError("418 I'm a teapot", cause="banned", retry_after=60), 100.0)
    condition = outage.condition(3)
    assert condition is not None
    assert condition.reason == "the exchange has banned this address for a while: 418 I'm a teapot"
    assert condition.params == {
        "since": 100.0,
        "cause": "banned",
        "error": "418 I'm a teapot",
        "open_orders": 3,
        "retry_at": 160.0,
    }
    outage.record(RejectedError("odd", cause="other"), 120.0)
    condition = outage.condition(None)
    assert condition is not None
    assert (condition.params["cause"], condition.params["open_orders"]) == ("unclear", None)
    outage.clear()
    assert outage.condition(3) is None


def refused(times: int, now: float = 0.0, live_orders: int = 0) -> Refusals:
    refusals = Refusals(60.0)
    for _ in range(times):
        refusals.record(RejectedError("no funds", cause="insufficient_funds"), 0.0)
    refusals.update(now, live_orders)
    return refusals


def test_a_single_refusal_is_a_moving_price() -> None:
    assert refused(MIN_REFUSALS - 1).condition() is None
    condition = refused(MIN_REFUSALS).condition()
    assert condition is not None
    assert condition.reason == "the account has not enough funds: no funds"
    assert condition.params["refused"] == MIN_REFUSALS
    assert "code" not in condition.params


def test_the_exchanges_own_code_is_told() -> None:
    """By it a reader sees that what is refused now is refused for another reason."""
    refusals = Refusals(60.0)
    for _ in range(MIN_REFUSALS):
        refusals.record(RejectedError("backpack: no (HALTED)", code="HALTED"), 0.0)
    refusals.update(0.0, 0)
    condition = refusals.condition()
    assert condition is not None
    assert (condition.params["cause"], condition.params["code"]) == ("other", "HALTED")


def test_refusals_beside_orders_in_the_market_count_later() -> None:
    assert not refused(5, now=PARTIAL_AFTER_S - 1, live_orders=9).is_active
    assert refused(5, now=PARTIAL_AFTER_S, live_orders=9).is_active


def test_refused_orders_wait_for_longer_than_an_answer() -> None:
    """A person has to put it right, and an exchange bans who goes on trying."""
    refusals, now, pauses = refused(MIN_REFUSALS), 0.0, []
    for _ in range(20):
        began = now
        while not refusals.allows_attempt(now):
            now += 1.0
        pauses.append(now - began)
        refusals.update(now, 0)
    assert 60.0 < max(pauses) <= SLOWER * 60.0 + 1.0


def test_after_an_accepted_order_the_pauses_begin_anew() -> None:
    """Else a bot that was refused for an hour would wait for minutes after three refusals of tomorrow."""
    refusals = Refusals(60.0, RetryPauses(5.0, 300.0, random.Random(1)))
    for now in (0.0, 1000.0, 2000.0, 3000.0):
        for _order in range(3):
            refusals.record(RejectedError("no"), now)
        refusals.update(now, 0)
    refusals.clear()
    for _order in range(3):
        refusals.record(RejectedError("no"), 4000.0)
    refusals.update(4000.0, 0)
    assert not refusals.allows_attempt(4002.0)
    assert refusals.allows_attempt(4005.1)


def test_refused_orders_are_tried_one_at_a_time() -> None:
    refusals = refused(5)
    assert not refusals.allows_attempt(1.0)
    assert refusals.allows_attempt(5.0)
    refusals.record(UnauthorizedError("read only", cause="unauthorized"), 5.0)
    refusals.update(5.0, 0)
    assert not refusals.allows_attempt(6.0)
    condition = refusals.condition()
    assert condition is not None
    assert condition.params["cause"] == "unauthorized"
    refusals.clear()
    assert refusals.allows_attempt(6.0)
    assert refusals.condition() is None


# what the adapter makes of answers


@pytest.fixture(scope="module")
def market() -> tuple[FakeExchange, CcxtExchange]:
    fake = FakeExchange()
    fake.__enter__()
    settings = args.parse(GRID, {})
    keys = {"apiKey": fake.key, "secret": fake.secret}
    exchange = CcxtExchange(settings, keys, fake.env | {"GRIDBOT_RATE_LIMIT_MS": "2"})
    exchange.market()
    return fake, exchange


@pytest.mark.parametrize(
    ("fault", "cause", "retry_after"),
    [
        (Fault.DROP_BEFORE, "unreachable", None),
        (Fault.BANNED, "banned", 1.0),
        (Fault.TOO_MANY, "rate_limited", None),
        (Fault.UNAVAILABLE, "maintenance", None),
    ],
)
def test_causes_of_an_outage(
    market: tuple[FakeExchange, CcxtExchange], fault: Fault, cause: str, retry_after: float | None
) -> None:
    fake, exchange = market
    fake.faults.away_for(60, fault)
    for call in (exchange.price, exchange.open_orders):
        with pytest.raises(UnreachableError) as caught:
            call()
        assert (caught.value.cause, caught.value.retry_after) == (cause, retry_after)
        assert "?" not in str(caught.value), "the query, and a signature in it, is nobody's business"
    fake.faults.away_for(0)


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        (RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds"), "insufficient_funds"),
        (RefusalError("INVALID_ORDER", "Order notional is below the minimum"), "below_minimum"),
        (RefusalError("UNAUTHORIZED", "this key may only read", 401), "unauthorized"),
        (RefusalError("FORBIDDEN", "not for this key", 403), "unauthorized"),
        (RefusalError("INVALID_PRICE", "off the tick"), "other"),
    ],
)
def test_causes_of_a_refusal(
    market: tuple[FakeExchange, CcxtExchange], refusal: RefusalError, cause: str
) -> None:
    fake, exchange = market
    fake.refusal = refusal
    with pytest.raises(RejectedError) as caught:
        exchange.place(Order(7, "s", Side.BUY, D(149), D(1), D(0), "new", 0.0))
    assert caught.value.cause == cause
    fake.refusal = None


def test_maintenance_is_an_outage_whatever_its_status(market: tuple[FakeExchange, CcxtExchange]) -> None:
    fake, exchange = market
    fake.refusal = RefusalError("MAINTENANCE", "back soon")
    with pytest.raises(ExchangeError) as caught:
        exchange.place(Order(7, "s", Side.BUY, D(149), D(1), D(0), "new", 0.0))
    assert isinstance(caught.value, UnreachableError), "nobody knows what became of the order"
    assert caught.value.cause == "maintenance"
    fake.refusal = None


def test_the_pause_that_was_asked_for_begins_with_the_answer_and_not_with_the_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "publish", lambda *_args: None)
    stop, moments = StopSignal(), list[tuple[float, float]]()

    def tick() -> None:
        began = time.monotonic()
        if len(moments) == 2:
            stop.set("enough")
            return
        time.sleep(0.4)
        moments.append((began, time.monotonic()))
        raise UnreachableError("418", cause="banned", retry_after=0.5)

    settings = args.parse(GRID, {"GRIDBOT_RETRY_CAP": "0.01"})
    engine: Any = SimpleNamespace(
        settings=settings,
        shared=SharedState(1.0),
        tick=tick,
        record_failure=lambda *_args, **_more: None,
        awaits_proof=False,
    )
    switch: Any = SimpleNamespace(renew=lambda: None)
    loop.run_loop(engine, stop, Any, switch, Pace(), FillWatch(stop))  # type: ignore[arg-type]
    (_began, answered), (again, _answered) = moments
    assert again - answered >= 0.5
