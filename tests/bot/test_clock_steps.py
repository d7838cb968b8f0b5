"""A clock that is set while the bot runs: back by hours, or ahead, as after a boot without a network."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.model.condition import Code
from gridbot.model.errors import RejectedError
from gridbot.store.store import Store
from gridbot.strategies.strategy import MOVES_WINDOW_S, GridStrategy
from gridbot.trading.outage import Outage
from gridbot.trading.position_watch import LOOK_EVERY_S, SECOND_LOOK_S
from gridbot.trading.refusals import MIN_REFUSALS, PARTIAL_AFTER_S, Refusals
from tests.bot.test_position_watch import LINE, LIVE, Bench, beside
from tests.bot.worlds import PERP

D = Decimal
HOUR = 3600.0


@pytest.mark.parametrize("step", [-HOUR, -0.5, HOUR])
def test_a_stop_loss_waits_for_its_second_look_and_no_longer(store: Store, step: float) -> None:
    bench = Bench(store, "--stop-loss 1")
    bench.tick()
    bench.tick(price="75")
    bench.prices.now += step
    for _ in range(3):
        if bench.tick(0.6) is Code.STOPPED_OUT:
            break
    assert bench.engine.condition().params["by"] == "stop_loss"


def test_one_print_far_away_ends_no_run_by_a_clock_that_was_set_back(store: Store) -> None:
    bench = Bench(store, "--stop-loss 1")
    bench.tick()
    bench.tick(price="75")
    assert bench.tick(0.2 - HOUR, price="121") is Code.TRADING
    assert bench.tick(2) is Code.TRADING


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_refused_orders_are_tried_again_and_not_more_often_for_it(step: float) -> None:
    refusals, now = Refusals(60.0), 1_000_000.0
    for _ in range(MIN_REFUSALS):
        refusals.record(RejectedError("no funds", cause="insufficient_funds"), now)
    refusals.update(now, 0)
    assert not refusals.allows_attempt(now + 1)
    now += step
    assert refusals.allows_attempt(now), "not an hour later"
    refusals.record(RejectedError("no funds", cause="insufficient_funds"), now)
    refusals.update(now, 0)
    assert not refusals.allows_attempt(now + 1), "one attempt for a step"
    assert refusals.is_active
    condition = refusals.condition()
    assert condition is not None
    assert condition.params["since"] <= now


def test_refusals_beside_orders_in_the_market_are_no_hour_late() -> None:
    refusals, now = Refusals(60.0), 1_000_000.0
    for _ in range(MIN_REFUSALS):
        refusals.record(RejectedError("no funds"), now)
    refusals.update(now - HOUR, 9)
    refusals.update(now - HOUR + PARTIAL_AFTER_S, 9)
    assert refusals.is_active


def test_an_outage_is_declared_no_hour_later() -> None:
    outage, now = Outage(10.0), 1_000_000.0
    outage.record(RejectedError("no answer"), now)
    outage.record(RejectedError("no answer"), now - HOUR)
    assert outage.condition(3) is None
    outage.record(RejectedError("no answer"), now - HOUR + 10)
    assert outage.condition(3) is not None


def test_a_difference_beside_other_bots_is_confirmed_by_the_words_after_the_step(
    store: Store, tmp_path: Path
) -> None:
    bench, other = beside(store, tmp_path, "1")
    bench.account.others = D(1)
    assert bench.tick() is Code.TRADING
    bench.account.others = D(4)
    assert bench.tick(LOOK_EVERY_S) is Code.TRADING
    bench.prices.now -= HOUR
    seen = []
    for _ in range(4):
        other.tell("2", bench.prices.now)
        seen.append(bench.tick(SECOND_LOOK_S))
    assert seen[-1] is Code.LEDGER_DIFFERS


def test_a_range_moves_again_though_its_moves_are_ahead_of_the_clock(store: Store) -> None:
    settings = replace(args.parse(LINE.split(), LIVE), max_range_moves=1)
    strategy = GridStrategy(settings, PERP, store)
    strategy.prepare(D(121))
    now = 1_000_000.0
    strategy.move_range(D(150), now)
    assert not strategy.can_move_range(now - HOUR), "a correction allows no further one"
    assert strategy.can_move_range(now - MOVES_WINDOW_S), (
        "nor does a clock that was wrong forbid them for ever"
    )
