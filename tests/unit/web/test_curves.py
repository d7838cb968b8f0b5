"""P&L over time: what nobody has seen is unknown, and no instance falls to 0 by being out of sight."""

from __future__ import annotations

from decimal import Decimal

from manager.monitor.history.curve import Point
from manager.monitor.history.model import Span
from manager.web.engine_side import curves

AT = curves.moments(0, 4000, 5)


def points(*pairs: tuple[float, str]) -> list[Point]:
    return [Point(at, Decimal(pnl)) for at, pnl in pairs]


def test_the_curve_begins_at_zero_with_what_was_there_before() -> None:
    found = curves.of_instance(points((-50, "10"), (1000, "12"), (3990, "9")), [Span(-50, 4000)], AT)
    assert curves.values(found) == [Decimal(0), Decimal(2), Decimal(2), Decimal(2), Decimal(-1)]


def test_what_nobody_watched_is_unknown() -> None:
    found = curves.of_instance(points((0, "1"), (1000, "2"), (4000, "5")), [Span(0, 1000)], AT)
    assert curves.values(found) == [Decimal(0), Decimal(1), None, None, Decimal(4)]


def test_an_instance_that_came_later_is_unknown_before() -> None:
    found = curves.of_instance(points((2000, "7"), (3000, "8")), [Span(0, 4000)], AT)
    assert curves.values(found) == [None, None, Decimal(0), Decimal(1), Decimal(1)]


def test_the_deepest_fall_is_from_a_high_and_over_gaps() -> None:
    known = [Decimal(each) for each in (1, 5, 2, 4)]
    assert curves.deepest_fall([*known, None, Decimal(-1), Decimal(9)]) == Decimal(6)
    assert curves.deepest_fall([None, Decimal(3), Decimal(4)]) == 0
    assert curves.deepest_fall([]) == 0


def test_without_a_point_all_is_unknown() -> None:
    assert curves.values(curves.of_instance([], [Span(0, 4000)], AT)) == [None] * 5


def test_in_the_sum_one_that_is_out_of_sight_keeps_what_it_had() -> None:
    seen = curves.of_instance(points(*((at, "1") for at in AT[:3]), (3000, "3"), (4000, "4")), [], AT)
    lost = curves.of_instance(points((0, "0"), (1000, "5")), [Span(0, 1000)], AT)
    assert curves.together([seen, lost]) == [Decimal(each) for each in (0, 5, 5, 7, 8)]


def test_the_sum_is_unknown_where_all_are() -> None:
    one = curves.of_instance(points((0, "0"), (4000, "5")), [], AT)
    assert curves.together([one, one]) == [Decimal(0), None, None, None, Decimal(10)]
    assert curves.together([]) == []
