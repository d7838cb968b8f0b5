"""What `watch` takes for an engine's death, and what for a break in the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from manager.fleet.session import Session
from manager.monitor.watch.observer import FleetObserver
from tests.fakes.desk import ETH, SOL, Desk


@pytest.fixture
def watching(desk: Desk) -> Iterator[FleetObserver]:
    """A watch that has seen both run for some time."""
    desk.play("up")
    sight = FleetObserver(Session(desk.folder))
    sight.look()
    desk.clock.sleep(20)
    sight.look()
    yield sight
    sight.close()


def away(desk: Desk, sight: FleetObserver, back: Callable[[], None]) -> list[str]:
    """Return who is to be started again after the engine has been away."""
    desk.engine.die()
    sight.wait(0)  # what it said before
    sight.wait(0)  # its end
    assert sight.why_away
    desk.clock.sleep(3)
    assert not sight.look()
    back()
    assert sight.look()
    return sight.still_down()


def test_what_an_engine_that_was_killed_left_down_has_fallen(desk: Desk, watching: FleetObserver) -> None:
    assert away(desk, watching, lambda: desk.engine.start_again(ETH)) == ["bp_eth_02"]
    assert watching.is_unsettled()


def test_what_is_down_after_a_break_of_the_connection_was_stopped_by_somebody(
    desk: Desk, watching: FleetObserver
) -> None:
    def back() -> None:
        desk.engine.come_back()
        desk.engine.set_state(ETH, "exited", 0)

    assert away(desk, watching, back) == []
    assert not watching.is_unsettled()


def test_what_somebody_was_stopping_as_the_engine_died_has_not_fallen(
    desk: Desk, watching: FleetObserver
) -> None:
    desk.engine.after("stop", desk.engine.die, of=ETH)
    desk.run("stop bp_eth_02")
    assert away(desk, watching, lambda: desk.engine.start_again(SOL)) == ["bp_sol_01"]
