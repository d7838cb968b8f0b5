"""The stops of many live bots are spread per exchange; all others are stopped at once."""

from __future__ import annotations

import pytest

from manager.config.exchanges import EXCHANGES
from manager.engine import labels
from manager.engine.containers import Container
from manager.ops.execution.stop_turns import MOST_S, StopTurns, longest, turn
from tests.builders import a_container

A_MINUTE = {exchange: known.stops_a_minute for exchange, known in EXCHANGES.items()}
BURST = {exchange: max(int(a_minute / 4), 4) for exchange, a_minute in A_MINUTE.items()}


def bot(exchange: str = "aster", mode: str = "live") -> Container:
    container = a_container()
    return container._replace(
        labels={**container.labels, labels.EXCHANGE: exchange, labels.MODE: mode},
    )


class Time:
    def __init__(self) -> None:
        self.now, self.slept = 100.0, [0.0]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def turns(self) -> StopTurns:
        return StopTurns(lambda: self.now, self.sleep)


@pytest.mark.parametrize("exchange", sorted(A_MINUTE))
def test_no_minute_sees_more_stops_than_the_exchange_takes(exchange: str) -> None:
    due = [turn(exchange, before) for before in range(200)]
    assert due == sorted(due)
    assert due[: BURST[exchange]] == [0.0] * BURST[exchange]
    for start in (at for at in due if at + 60 < MOST_S):
        in_a_minute = sum(start <= at < start + 60 for at in due)
        assert in_a_minute <= A_MINUTE[exchange] + BURST[exchange] + 1


def test_no_bot_waits_longer_than_the_limit() -> None:
    assert max(turn("lighter", before) for before in range(200)) == MOST_S


def test_a_small_fleet_is_stopped_at_once() -> None:
    assert longest([bot("backpack")] * 17) == 0
    assert longest([bot("backpack")] * 18) > 0
    assert longest([bot(exchange) for exchange in A_MINUTE] * 4) == 0


def test_two_hundred_bots_are_spread_over_what_the_slowest_exchange_needs() -> None:
    assert longest([bot("paradex")] * 200) == pytest.approx(45, abs=1)
    assert longest([bot("aster")] * 200) == pytest.approx(105, abs=1)
    assert longest([*[bot("paradex")] * 200, *[bot("aster")] * 30]) == pytest.approx(45, abs=1)


@pytest.mark.parametrize("other", [bot(mode="paper"), bot("an exchange without a figure")])
def test_what_counts_towards_no_limit_never_waits(other: Container) -> None:
    time = Time()
    turns = time.turns()
    for _ in range(300):
        turns.wait(other)
    assert time.slept == [0.0]
    assert longest([other] * 300) == 0


def test_each_exchange_has_turns_of_its_own_and_time_that_has_passed_counts() -> None:
    time = Time()
    turns = time.turns()
    for _ in range(BURST["aster"]):
        turns.wait(bot("aster"))
    turns.wait(bot("paradex"))
    assert time.slept == [0.0]
    turns.wait(bot("aster"))
    assert time.slept[1:] == [pytest.approx(60 / A_MINUTE["aster"])]
    time.now += 60
    turns.wait(bot("aster"))
    assert len(time.slept) == 2
