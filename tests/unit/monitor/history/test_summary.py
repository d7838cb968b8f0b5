"""What is told of a time that begins in the middle of a history, and which points stand for thousands."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from manager.monitor.history import summary
from manager.monitor.history.curve import Point
from manager.monitor.history.model import Run, Sample
from manager.monitor.history.reader import FleetHistory, InstanceHistory

BEGIN = 1_764_500_000.0


def a_history(*samples: tuple[float, str], **more: Any) -> tuple[InstanceHistory, FleetHistory]:
    of_run = [
        Sample(BEGIN + at, "running", kind="live", run=BEGIN, quote="USDC", pnl=Decimal(pnl))
        for at, pnl in samples
    ]
    history = InstanceHistory("bp_sol_01", of_run, **more)
    return history, FleetHistory([history], [], BEGIN + 10_000)


def test_what_was_earned_before_does_not_count() -> None:
    history = a_history((0, "5"), (60, "6"), (120, "8"))
    [whole], [last] = summary.lines(*history, 0.0), summary.lines(*history, BEGIN + 90)
    assert (whole.pnl, last.pnl) == (Decimal(8), Decimal(2))


@pytest.mark.parametrize(("since", "is_uncertain"), [(0, False), (500, True), (1200, False)])
def test_a_gap_that_begins_before_makes_the_sum_uncertain(since: float, *, is_uncertain: bool) -> None:
    """Nobody knows on which side of the begin it was earned."""
    [line] = summary.lines(*a_history((0, "0"), (60, "1"), (1000, "5"), (1060, "6")), BEGIN + since)
    assert line.is_uncertain is is_uncertain


def test_of_many_points_every_gap_and_the_last_one_stay() -> None:
    curve = [Point(float(at), Decimal(at), at == 1501) for at in range(2 * summary.MOST_POINTS + 501)]
    shown = summary.points_object(curve)
    assert len(shown) <= summary.MOST_POINTS
    assert [point[0] for point in shown if point[2]] == [1501.0]
    assert shown[-1][0] == curve[-1].at
    assert shown[0][0] == 0.0


def test_a_run_that_ended_within_the_time_is_told() -> None:
    runs = [Run(BEGIN, BEGIN + 50, "", "live"), Run(BEGIN + 60, BEGIN + 150, "", "live")]
    history, fleet = a_history((0, "0"), runs=[*runs, Run(BEGIN + 160, None, "", "live")])
    told = summary.as_object(history, fleet, BEGIN + 100)["runs"]
    assert [run["began"] - BEGIN for run in told] == [60, 160]
