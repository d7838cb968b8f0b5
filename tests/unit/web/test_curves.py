"""P&L over time: what nobody has seen is unknown, and no instance falls to 0 by being out of sight."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

from manager.monitor.history import database, reader, writing
from manager.monitor.history.curve import Point
from manager.monitor.history.model import Sample, Span
from manager.monitor.history.reader import FleetHistory
from manager.web.engine_side import curves
from manager.web.engine_side.figures import CURVE_VALUES, OF_EACH_VALUE, curves_over, figures
from tests.builders import a_fleet

AT = curves.moments(0, 4000, 5)


def points(*pairs: tuple[float, str]) -> list[Point]:
    return [Point(at, Decimal(pnl)) for at, pnl in pairs]


def test_the_curve_begins_at_zero_with_what_was_there_before() -> None:
    curve = curves.of_instance(points((-50, "10"), (1000, "12"), (3990, "9")), [Span(-50, 4000)], AT)
    assert curves.values(curve) == [Decimal(0), Decimal(2), Decimal(2), Decimal(2), Decimal(-1)]


def test_it_begins_with_the_last_point_before_and_not_with_the_first_of_all() -> None:
    curve = curves.of_instance(points((-900, "3"), (-50, "10"), (1000, "12")), [Span(-900, 4000)], AT)
    assert curves.values(curve)[:2] == [Decimal(0), Decimal(2)]


def test_what_nobody_watched_is_unknown() -> None:
    curve = curves.of_instance(points((0, "1"), (1000, "2"), (4000, "5")), [Span(0, 1000)], AT)
    assert curves.values(curve) == [Decimal(0), Decimal(1), None, None, Decimal(4)]


def test_a_curve_of_minutes_says_nothing_of_before_a_point() -> None:
    """It drew three minutes at the last known value before each first point."""
    at = curves.moments(0, 600, 11)
    new = curves.of_instance(points((400, "7"), (460, "8"), (520, "9"), (580, "9")), [Span(400, 580)], at)
    assert curves.values(new) == [None] * 7 + [Decimal(0), Decimal(1), Decimal(2), Decimal(2)]
    back = curves.of_instance(points((0, "7"), (550, "9"), (600, "9")), [Span(0, 0), Span(550, 600)], at)
    assert curves.values(back) == [Decimal(0)] * 4 + [None] * 5 + [Decimal(2), Decimal(2)]


def test_an_instance_that_came_later_is_unknown_before() -> None:
    curve = curves.of_instance(points((2000, "7"), (3000, "8")), [Span(0, 4000)], AT)
    assert curves.values(curve) == [None, None, Decimal(0), Decimal(1), Decimal(1)]


def test_the_deepest_fall_is_from_a_high_and_over_gaps() -> None:
    known = [Decimal(value) for value in (1, 5, 2, 4)]
    assert curves.deepest_fall([*known, None, Decimal(-1), Decimal(9)]) == Decimal(6)
    assert curves.deepest_fall([None, Decimal(3), Decimal(4)]) == 0
    assert curves.deepest_fall([]) == 0


def test_without_a_point_all_is_unknown() -> None:
    assert curves.values(curves.of_instance([], [Span(0, 4000)], AT)) == [None] * 5


def test_in_the_sum_one_that_is_out_of_sight_keeps_what_it_had() -> None:
    seen = curves.of_instance(points(*((at, "1") for at in AT[:3]), (3000, "3"), (4000, "4")), [], AT)
    lost = curves.of_instance(points((0, "0"), (1000, "5")), [Span(0, 1000)], AT)
    assert curves.together([seen, lost]) == [Decimal(value) for value in (0, 5, 5, 7, 8)]


def test_the_sum_is_unknown_where_all_are() -> None:
    one = curves.of_instance(points((0, "0"), (4000, "5")), [], AT)
    assert curves.together([one, one]) == [Decimal(0), None, None, None, Decimal(10)]
    assert curves.together([]) == []


def test_a_long_curve_is_that_of_every_sample(tmp_path: Path) -> None:
    fleet, now = a_fleet(data_dir=tmp_path), time.time()
    fleet.state_dir.mkdir(parents=True)
    db, _aside = database.open_for_writing(fleet.history_file)
    begin = now - 7 * 86_400
    writing.put_watched(db, Span(begin, now))
    samples = []
    for number in range(1000):
        at, run = begin + number * 600, begin + number // 300 * 300 * 600
        earned = Decimal(number % 300)  # of this run, which begins again at 0
        samples.append(Sample(at, "running", "trading", "live", run, run, "USDC", "SOL", earned))
    writing.add_samples(db, "one", samples)
    db.close()
    every = 7 * 86_400 / CURVE_VALUES / OF_EACH_VALUE
    exact = curves_over(reader.read(fleet, ["one"], [], begin), begin)
    thinned = reader.read(fleet, ["one"], [], begin, every=every)
    assert len(thinned.instances[0].samples) < 300
    [(key, values)] = curves_over(thinned, begin).curves.items()
    assert key == ("live", "USDC")
    near = [abs(one - other) for one, other in zip(values, exact.curves[key], strict=True) if one and other]
    assert len(near) > CURVE_VALUES - 5
    assert max(near) <= every / 600 + 1
    assert values[-1] == exact.curves[key][-1] == Decimal(299 * 3 + 99)  # no run's end is lost
    assert reader.began(fleet) == begin


@pytest.mark.parametrize(
    ("began", "expected"), [(None, 86_400), (90_000, 86_400), (3_600, 3_600), (10, 900)], ids=str
)
def test_the_curve_of_a_new_fleet_begins_with_the_fleet(began: int | None, expected: int) -> None:
    """Not with most of a day in which nothing could be known. In seconds before now."""
    history = FleetHistory([], (), 1e6)
    assert figures(history, None if began is None else 1e6 - began).begin == 1e6 - expected
