"""What was earned when, by samples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.monitor.history import curve
from manager.monitor.history.model import Sample, Span
from tests.cases import cases

NOW = datetime(2026, 3, 20, 18, 0).timestamp()
DAY = 86400.0


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return datetime(2026, 3, day, hour, minute, second).timestamp()


def sample(moment: float, pnl: str | None, **more: Any) -> Sample:
    amount = None if pnl is None else Decimal(pnl)
    return Sample(
        moment, **{"state": "running", "kind": "paper", "run": at(1), "quote": "USDC", "pnl": amount, **more}
    )


def each_minute(begin: float, end: float, first: str, last: str, **more: Any) -> list[Sample]:
    count = int((end - begin) // 60)
    step = ((Decimal(last) - Decimal(first)) / count).quantize(Decimal("0.000001"))
    return [
        sample(begin + 60 * number, str(Decimal(first) + step * number) if number < count else last, **more)
        for number in range(count + 1)
    ]


def by_day(samples: list[Sample], watched: tuple[Span, ...] = ()) -> dict[str, Decimal]:
    return {day.day[-2:]: day.pnl for day in curve.days(samples, watched, NOW)}


def points(samples: list[Sample]) -> list[curve.Point]:
    return curve.points(samples, curve.steps(samples, ()))


def test_two_runs_of_one_time_are_counted_once_each() -> None:
    """A database was replaced and put back, or two in one folder know of the same time."""
    first = each_minute(at(19, 12), at(19, 13), "0", "6", run=at(19, 12))
    second = [
        sample._replace(at=sample.at + 30)
        for sample in each_minute(at(19, 12), at(19, 13), "0", "3", run=at(19, 11))
    ]
    mixed = sorted([*first, *second])
    assert by_day(mixed) == {"19": Decimal(9)}
    assert curve.drawdown(points(mixed)) is None


def test_a_days_pnl_is_what_was_earned_between_two_midnights() -> None:
    samples = each_minute(at(19, 12), at(20, 12), "10", "34")
    days = curve.days(samples, (), NOW)
    assert [(day.day, round(day.pnl)) for day in days[-2:]] == [
        ("2026-03-19", 12),
        ("2026-03-20", 12),
    ]
    assert [day.is_open for day in days[-2:]] == [False, True]
    assert sum(day.pnl for day in days) == Decimal("34")


def test_a_new_run_begins_at_zero_and_the_run_before_keeps_what_it_had() -> None:
    samples = [sample(at(20, 8), "50", run=at(20, 7)), sample(at(20, 8, 1), "-2", run=at(20, 8, 0, 30))]
    assert by_day(samples) == {"20": Decimal("48")}


def test_a_restart_within_a_run_earns_nothing() -> None:
    samples = [
        sample(at(20, 8), "50", run=at(20, 7, 59, 0), start=1.0),
        sample(at(20, 8, 1), "51", run=at(20, 7, 59, 0), start=2.0),
    ]
    assert by_day(samples) == {"20": Decimal("51")}


def test_a_bot_that_does_not_say_whether_its_pnl_goes_on_makes_the_day_uncertain() -> None:
    samples = [sample(at(20, 8), "50", run=None, start=1.0), sample(at(20, 8, 1), "3", run=None, start=2.0)]
    (day,) = curve.days(samples, (), NOW)
    assert (day.pnl, day.is_uncertain) == (Decimal(0), True)


def test_a_gap_is_counted_and_what_was_earned_over_midnight_is_uncertain_on_both_days() -> None:
    samples = [
        *each_minute(at(19, 10), at(19, 12), "0", "2", run=at(19, 10)),
        *each_minute(at(20, 6), at(20, 7), "20", "21", run=at(19, 10)),
    ]
    before, after = curve.days(samples, (), NOW)
    assert (before.pnl, before.gaps, before.is_uncertain) == (Decimal(2), 12 * 3600, True)
    assert (after.pnl, after.gaps, after.is_uncertain) == (Decimal(19), 6 * 3600, True)


def test_a_stopped_bot_leaves_no_gap_while_somebody_watches_and_one_while_nobody_does() -> None:
    samples = [
        sample(at(20, 8), "5", run=at(20, 8)),
        sample(at(20, 8, 1), "5", run=at(20, 8), state="stopped"),
        sample(at(20, 12), "5", run=at(20, 8)),
    ]
    watched = (Span(at(20, 7), at(20, 13)),)
    assert [day.gaps for day in curve.days(samples, watched, NOW)] == [0]
    assert [day.gaps for day in curve.days(samples, (), NOW)] == [4 * 3600 - 60]
    broken = (Span(at(20, 7), at(20, 9)), Span(at(20, 11), at(20, 13)))
    assert [day.gaps for day in curve.days(samples, broken, NOW)] == [4 * 3600 - 60]


def test_modes_and_currencies_are_never_added() -> None:
    samples = [
        sample(at(20, 8), "5", run=at(20, 8)),
        sample(at(20, 8, 1), "7", run=at(20, 8), kind="live"),
        sample(at(20, 8, 2), "9", run=at(20, 8), quote="USDT"),
    ]
    pnls = {(day.kind, day.quote): day.pnl for day in curve.days(samples, (), NOW)}
    assert pnls == {
        ("paper", "USDC"): Decimal(5),
        ("live", "USDC"): Decimal(7),
        ("paper", "USDT"): Decimal(9),
    }


def test_the_drawdown_is_the_largest_fall_also_over_several_runs() -> None:
    samples = [
        sample(at(20, 8), "10", run=at(20, 8)),
        sample(at(20, 8, 1), "30", run=at(20, 8)),
        sample(at(20, 8, 2), "-15", run=at(20, 8, 1, 30)),
        sample(at(20, 8, 3), "40", run=at(20, 8, 1, 30)),
        sample(at(20, 8, 4), "35", run=at(20, 8, 1, 30)),
    ]
    fall = curve.drawdown(points(samples))
    assert fall == (Decimal(15), at(20, 8, 1), at(20, 8, 2))
    assert curve.drawdown(points(samples[:2])) is None


def test_a_sparkline_has_a_hole_where_nobody_looked() -> None:
    samples = [
        *each_minute(at(20, 8), at(20, 9), "0", "8", run=at(20, 8)),
        *each_minute(at(20, 11), at(20, 12), "8", "0", run=at(20, 8)),
    ]
    text = curve.sparkline(points(samples), 16)
    assert len(text) == 16
    assert text.strip(" ")[:1] == "▂"  # the last value of its quarter of an hour
    assert text.count(" ") in {7, 8}
    assert text[4:12].strip(" ") in {"", "█"}
    assert curve.sparkline(points(samples[:1]), 4).strip() == "▄"
    assert curve.sparkline([], 4) == ""


@pytest.mark.parametrize("zone", ["Asia/Taipei", "America/New_York", "Asia/Kolkata"])
def test_the_days_pnls_add_up_to_the_whole_in_every_time_zone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        begin = datetime(2026, 3, 7, 5, 0).timestamp()  # with the change to daylight saving time in New York
        samples = each_minute(begin, begin + 3 * DAY, "0", "72", run=begin)
        days = curve.days(samples, (), begin + 3 * DAY)
        assert sum(day.pnl for day in days) == Decimal(72)
        assert not any(day.is_uncertain or day.gaps for day in days)
        assert len(days) == 4
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_a_run_had_earned_before_it_was_first_seen_is_not_todays() -> None:
    """A history that begins today must not count a month's loss as that of one day: a limit would halt for
    it.
    """
    samples = [
        sample(at(20, 8), "-500", run=at(2)),
        sample(at(20, 8, 1), "-501", run=at(2)),
    ]
    pnls = {day.day[-2:]: (day.pnl, day.is_uncertain) for day in curve.days(samples, (), NOW) if day.pnl}
    assert pnls == {"02": (Decimal(-500), True), "20": (Decimal(-1), True)}


def naive(begin: float, end: float, covered: Sequence[Span]) -> bool:
    """Whether a time is covered, span by span."""
    reached = begin
    for span in covered:
        if span.begin > reached + curve.GAP_S:
            break
        reached = max(reached, span.end)
    return reached >= end - curve.GAP_S


TIMES = st.integers(0, 3000).map(float)


@cases(300, 10_000)
@given(st.lists(st.tuples(TIMES, TIMES)), TIMES, TIMES)
def test_spans_cover_as_they_do_one_by_one(
    pairs: list[tuple[float, float]], one: float, other: float
) -> None:
    covered = sorted(Span(min(pair), max(pair)) for pair in pairs)
    begin, end = min(one, other), max(one, other)
    assert curve.Cover(covered).is_covered(begin, end) == naive(begin, end, covered)


def test_the_calendar_is_asked_for_each_day_and_not_for_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = each_minute(at(10, 0), at(20, 0), "0", "8", run=at(10, 0))
    asked: list[float] = []
    day_of = curve.day_of

    def noted(moment: float) -> str:
        asked.append(moment)
        return day_of(moment)

    monkeypatch.setattr(curve, "day_of", noted)
    days = curve.days(samples, (), NOW)
    assert len(samples) > 10_000
    assert len(days) >= 10
    assert sum(day.pnl for day in days) == 8
    assert len(asked) < 5 * len(days)


def test_a_run_is_known_by_its_begin_within_a_second() -> None:
    """A bot that reports it with less precision than its database would begin anew at each sample."""
    before, after = sample(at(20, 8), "50", run=100.0), sample(at(20, 8, 1), "51", run=100.4)
    assert curve.earned(before, after) == Decimal(1)
    assert curve.earned(before, after._replace(run=101.0)) == Decimal(51)


@pytest.mark.parametrize(("trades", "earned"), [(6, Decimal(1)), (5, Decimal(1)), (4, None)])
def test_fewer_trades_than_before_are_of_another_run(trades: int, earned: Decimal | None) -> None:
    before = sample(at(20, 8), "50", run=None, start=1.0, trades=5)
    assert curve.earned(before, sample(at(20, 8, 1), "51", run=None, start=2.0, trades=trades)) == earned


def test_what_a_run_has_earned_counts_also_where_the_clock_was_set_back_since_it_began() -> None:
    """A step from ahead would end before it begins; without any, a loss of this day would be none."""
    samples = [sample(at(20, 8), "-50", run=at(20, 9)), sample(at(20, 8, 1), "-51", run=at(20, 9))]
    assert [(step.begin, step.end, step.amount) for step in curve.steps(samples, ())] == [
        (at(20, 8), at(20, 8), Decimal(-50)),
        (at(20, 8), at(20, 8, 1), Decimal(-1)),
    ]
    [day] = curve.days(samples, (), at(20, 8, 2))
    assert (day.pnl, day.gaps, day.is_uncertain) == (Decimal(-51), 0, False)


def test_a_curve_breaks_where_it_is_not_known_what_was_earned() -> None:
    samples = [sample(at(20, 8), "50", run=None, start=1.0), sample(at(20, 8, 1), "3", run=None, start=2.0)]
    assert [(point.pnl, point.after_gap) for point in points(samples)] == [
        (Decimal(50), False),
        (Decimal(50), True),
    ]
