"""Compute what was earned when from samples: gaps, P&L per day, drawdown, and a sparkline. Pure.

`covered`: spans in which `watch` ran, or a bot's own database has the data; by their begin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from manager.monitor.history.model import Sample, Span
from manager.typed import NamedTuple
from manager.util import formatting

GAP_S = 180.0
"""Samples are taken every minute: one or two may be late, or lost."""
SPARKS = "▁▂▃▄▅▆▇█"
HOLE = " "
ZERO = Decimal(0)

Currency = tuple[str, str]
"""Kind (live, paper, synthetic, replay) and quote currency: what can be added up."""


class Step(NamedTuple):
    """Hold what was earned between two samples.

    `amount`: None if unknown; `is_gap`: nothing was observed in between. `is_first`: what a run had earned
    when it was first observed, which does not count for that day.
    """

    begin: float
    end: float
    amount: Decimal | None
    is_gap: bool
    is_first: bool = False


class Day(NamedTuple):
    """Hold one local day of one kind and currency. `gaps`: seconds of it that were not observed; `is_open`:
    it is not over.

    `is_uncertain`: a part of the amount may belong to another day, or is missing.
    """

    day: str
    kind: str
    quote: str
    pnl: Decimal
    gaps: float = 0.0
    is_uncertain: bool = False
    is_open: bool = False


class Drawdown(NamedTuple):
    """Hold the largest fall of the P&L from a high, and when."""

    amount: Decimal
    high_at: float
    low_at: float


def by_currency(samples: Iterable[Sample]) -> dict[Currency, list[Sample]]:
    """Return the samples that have a P&L, by what can be added up."""
    by_currency: dict[Currency, list[Sample]] = {}
    for sample in samples:
        if sample.pnl is not None and sample.quote is not None:
            by_currency.setdefault((sample.kind, sample.quote), []).append(sample)
    return by_currency


def is_gap(before: Sample, after: Sample, covered: Sequence[Span]) -> bool:
    """Return whether it is unknown what the instance did between two samples, because nothing observed it
    throughout.
    """
    return Cover(covered).has_gap(before.at, after.at)


class Cover:
    """Join spans, so that one of thousands is found at once."""

    def __init__(self, covered: Sequence[Span]) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []
        for begin, end in covered:
            if self._ends and begin <= self._ends[-1] + GAP_S:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._begins.append(begin)
                self._ends.append(end)

    def has_gap(self, begin: float, end: float) -> bool:
        """Return whether a time without samples is too long, and not covered."""
        return end - begin > GAP_S and not self.is_covered(begin, end)

    def is_covered(self, begin: float, end: float) -> bool:
        """Return whether it is known throughout what happened."""
        return end <= self.until(begin)

    def until(self, begin: float) -> float:
        """Return until when it is known what happened since then."""
        index = bisect_right(self._begins, begin + GAP_S) - 1
        return (max(begin, self._ends[index]) if index >= 0 else begin) + GAP_S


def contiguous(moments: Sequence[float], most: Callable[[float], float]) -> list[Span]:
    """Return the spans in which the moments follow each other.

    `most`: how far apart two may be, by the first one.
    """
    joined: list[Span] = []
    for at in moments:
        if joined and at - joined[-1].end <= most(joined[-1].end):
            joined[-1] = Span(joined[-1].begin, at)
        else:
            joined.append(Span(at, at))
    return joined


def together(*spans: Iterable[Span]) -> list[Span]:
    """Return all of them, by their begin."""
    return sorted(span for some in spans for span in some)


def steps(samples: Sequence[Sample], covered: Sequence[Span]) -> Iterator[Step]:
    """Yield what was earned from sample to sample, of one instance, kind and currency."""
    cover = Cover(covered)
    if samples and (first := _from_zero(samples[0], cover)) is not None:
        yield first
    runs = _Runs()
    for before, after in pairwise(samples):
        runs.add(before)
        amount = earned(runs.last_of(after) or before, after)
        yield Step(before.at, after.at, amount, cover.has_gap(before.at, after.at))


class _Runs:
    """Hold the last sample of each run: one goes on after another where a database was replaced and put back,
    and two databases may know of the same time. Nothing of what a run has earned is counted again.
    """

    def __init__(self) -> None:
        self._ends: list[tuple[float, Sample]] = []

    def add(self, sample: Sample) -> None:
        if sample.run is None:
            return
        if self._ends and abs(self._ends[-1][0] - sample.run) < 1:
            self._ends[-1] = self._ends[-1][0], sample
            return
        self._ends = [end for end in self._ends if abs(end[0] - sample.run) >= 1] + [(sample.run, sample)]

    def last_of(self, sample: Sample) -> Sample | None:
        """Return the last sample of the same run; None for the first, and for one that says none."""
        if sample.run is None:
            return None
        return next((end for run, end in reversed(self._ends) if abs(run - sample.run) < 1), None)


def _from_zero(first: Sample, cover: Cover) -> Step | None:
    """Return what the first sample's run had earned by then, which began at 0; None where its begin is not
    known.
    """
    if first.run is None:
        return None
    if first.run > first.at:  # the clock was set back since: its begin is not known, but it was at 0, too
        return Step(first.at, first.at, first.pnl, False, is_first=True)
    return Step(first.run, first.at, first.pnl, not cover.is_covered(first.run, first.at), is_first=True)


def earned(before: Sample, after: Sample) -> Decimal | None:
    """Return the P&L between two samples.

    A run of its own begins at 0; where it is not known whether it is one, None.
    """
    assert before.pnl is not None
    assert after.pnl is not None
    if before.run is not None and after.run is not None:
        is_same = abs(before.run - after.run) < 1
        return after.pnl - before.pnl if is_same else after.pnl
    if before.start == after.start or before.start is None or after.start is None:
        return after.pnl - before.pnl
    if before.trades is not None and after.trades is not None and before.trades:
        return after.pnl - before.pnl if after.trades >= before.trades else None
    return None


def days(samples: Iterable[Sample], covered: Sequence[Span], now: float) -> list[Day]:
    """Return the P&L of each day of one instance, in the local time zone, oldest first.

    Days without a sample are not there.
    """
    result = [
        day
        for currency, members in by_currency(samples).items()
        for day in days_of_steps(currency, steps(members, covered), now)
    ]
    return sorted(result, key=lambda day: day[:3])


class _Sum:
    """Hold one day's figures while they are summed up."""

    __slots__ = ("gaps", "is_uncertain", "pnl")

    def __init__(self) -> None:
        self.pnl, self.gaps, self.is_uncertain = ZERO, 0.0, False


def days_of_steps(currency: Currency, steps: Iterable[Step], now: float) -> list[Day]:
    """Return the P&L of each day of one instance, kind and currency, oldest first."""
    sums: dict[str, _Sum] = {}
    day, day_begin, day_end = "", 0.0, 0.0
    for step in steps:
        if not day_begin <= step.begin <= step.end < day_end:  # else it is of the day of the step before
            _add_over_days(sums, step)
            day = day_of(step.end)
            day_begin = day_start(step.end)
            day_end = next_day_start(step.end)
            continue
        of_day = sums[day]
        if step.amount is None:
            of_day.is_uncertain = True
        else:
            of_day.pnl += step.amount
        if step.is_gap:
            of_day.gaps += step.end - step.begin
    today = day_of(now)
    return [
        Day(name, *currency, of_day.pnl, of_day.gaps, of_day.is_uncertain, name == today)
        for name, of_day in sorted(sums.items())
    ]


def _add_over_days(sums: dict[str, _Sum], step: Step) -> None:
    """Add a step to each day that it touches; its amount to the last one, or to that in which its run
    began.
    """
    first, last = day_of(step.begin), day_of(step.end)
    for name, seconds in _days_of(step):
        of_day = sums.setdefault(name, _Sum())
        if name == (first if step.is_first else last):
            of_day.pnl += step.amount or ZERO
        if step.is_gap:
            of_day.gaps += seconds
        if step.amount is None or (step.is_gap and first != last):
            of_day.is_uncertain = True


def _days_of(step: Step) -> Iterator[tuple[str, float]]:
    """Yield the local days that a step touches, with its seconds in each."""
    begin = datetime.fromtimestamp(step.begin)
    end = datetime.fromtimestamp(step.end)
    while begin.date() < end.date():
        midnight = datetime.combine(begin.date() + timedelta(days=1), datetime.min.time())
        if midnight.timestamp() > begin.timestamp():
            yield begin.date().isoformat(), midnight.timestamp() - begin.timestamp()
        begin = midnight
    yield end.date().isoformat(), max(0.0, end.timestamp() - begin.timestamp())


def day_of(at: float) -> str:
    """Return the local day of a moment, ISO."""
    return formatting.day(at)


def day_start(now: float) -> float:
    """Return when the local day of this moment began."""
    return datetime.combine(datetime.fromtimestamp(now).date(), datetime.min.time()).timestamp()


def next_day_start(at: float) -> float:
    """Return when the local day of this moment ends, and the next one begins."""
    return datetime.combine(
        datetime.fromtimestamp(at).date() + timedelta(days=1), datetime.min.time()
    ).timestamp()


class Point(NamedTuple):
    """Hold the P&L over all runs at one moment. `after_gap`: what was before it is not known."""

    at: float
    pnl: Decimal
    after_gap: bool = False


def points(samples: Sequence[Sample], steps: Iterable[Step]) -> list[Point]:
    """Return the curve of one instance, kind and currency, from its samples' steps: run is added to run."""
    if not samples:
        return []
    assert samples[0].pnl is not None
    total = samples[0].pnl
    points = [Point(samples[0].at, total)]
    for step in steps:
        if not step.is_first:
            total += step.amount or ZERO
            points.append(Point(step.end, total, step.amount is None or step.is_gap))
    return points


def of_runs(run_ends: Iterable[Sample]) -> dict[Currency, Decimal]:
    """Return what all runs together have earned, by what can be added up."""
    sums: dict[Currency, Decimal] = {}
    for sample in run_ends:
        if sample.pnl is not None and sample.quote is not None:
            key = (sample.kind, sample.quote)
            sums[key] = sums.get(key, ZERO) + sample.pnl
    return sums


def drawdown(curve: Sequence[Point]) -> Drawdown | None:
    """Return the largest fall; None for a curve that never falls."""
    worst: Drawdown | None = None
    high: Point | None = None
    for point in curve:
        if high is None or point.pnl >= high.pnl:
            high = point
        elif worst is None or high.pnl - point.pnl > worst.amount:
            worst = Drawdown(high.pnl - point.pnl, high.at, point.at)
    return worst


def sparkline(curve: Sequence[Point], width: int = 24) -> str:
    """Return the curve in so many characters, by time; a blank where nothing was observed."""
    if not curve:
        return ""
    begin, end = curve[0].at, curve[-1].at
    span = max(end - begin, 1e-9)
    cells: list[Decimal | None] = [None] * width
    first, before = 0, curve[0].pnl
    for at, pnl, after_gap in curve:
        last = min(width - 1, int((at - begin) / span * width))
        if not after_gap:
            for index in range(first + 1, last):
                cells[index] = before
        cells[last] = pnl
        first, before = last, pnl
    known = [cell for cell in cells if cell is not None]
    low, high = min(known), max(known)
    return "".join(HOLE if cell is None else _spark(cell, low, high) for cell in cells)


def _spark(value: Decimal, low: Decimal, high: Decimal) -> str:
    if low == high:
        return SPARKS[3]
    return SPARKS[min(len(SPARKS) - 1, int((value - low) / (high - low) * len(SPARKS)))]
