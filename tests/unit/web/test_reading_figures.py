"""Figures out of the samples that count are those of all samples, and reading them costs a bounded share."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from pathlib import Path

import pytest

from manager.fleet.session import Session
from manager.monitor.history import curve, database, queries, reader, turning, writing
from manager.monitor.history.model import Sample, Span
from manager.monitor.history.reader import FleetHistory
from manager.web.engine_side import figures as of_page
from manager.web.engine_side.figures import (
    EVERY_S,
    LONG_FOR_S,
    SHARE_OF_CPU,
    FigureReader,
    Figures,
    interval_after,
)
from manager.web.engine_side.observer import Readers
from tests.builders import a_fleet

DAY_S = 86_400.0
FLEET = ("bp_eth_01", "bp_sol_01", "bp_sol_02")


def unwatched(chance: random.Random, begin: float, end: float) -> list[Span]:
    """Return when no `watch` ran."""
    starts = sorted(chance.uniform(begin, end) for _hole in range(chance.randint(0, 6)))
    return [Span(start, start + chance.choice((100.0, 200.0, 900.0, 9000.0))) for start in starts]


def between(holes: list[Span], begin: float, end: float) -> list[Span]:
    """Return the times between the holes."""
    spans = []
    for hole in holes:
        if hole.begin > begin:
            spans.append(Span(begin, hole.begin))
        begin = max(begin, hole.end)
    return [*spans, Span(begin, end)] if begin < end else spans


class Past:
    """A bot's last day or so, by chance: runs, starts, other currencies, and times without a sample. What its
    database has filled in is in `filled`.
    """

    def __init__(self, chance: random.Random, begin: float, end: float, holes: list[Span]) -> None:
        self.chance, self.samples = chance, list[Sample]()
        self.filled = [hole for hole in holes if hole.end < end and chance.random() < 0.5]
        self.at, self.pnl, self.trades = begin, Decimal(0), 0
        self.run: float | None = begin - chance.random() * 3600
        self.start, self.kind, self.quote = begin - 5, "paper", "USDC"
        while self.at < end:
            hole = next((one for one in holes if one.begin < self.at < one.end), None)
            if hole is None or hole in self.filled:
                self.samples.append(self.sample(from_bot=hole is not None))
            is_gap = self.chance.random() < 0.01
            self.at += (
                self.chance.choice((200.0, 900.0, 5000.0)) if is_gap else self.chance.uniform(1.0, 100.0)
            )
            self.pnl += Decimal(self.chance.randint(-99, 99)) / 8
            self.trades += self.chance.randint(0, 2)
            if self.chance.random() < 0.01:
                self.happens()

    def happens(self) -> None:
        """Begin another run, process or currency, or say less."""
        match self.chance.randrange(5):
            case 0:
                self.run, self.pnl, self.start = self.at - 1, Decimal(0), self.at - 2
            case 1:
                self.start = self.at - 1
            case 2:
                self.run, self.trades = None, self.chance.choice((0, self.trades))
                self.start = self.at - 3
            case 3:
                self.kind, self.quote = self.chance.choice((("live", "USDT"), ("paper", "USDC")))
            case _:
                self.run = self.at - 1

    def sample(self, *, from_bot: bool) -> Sample:
        pnl = None if self.chance.random() < 0.05 else self.pnl
        return Sample(
            *(self.at, "running", "trading", self.kind, self.run, self.start, self.quote, "BTC", pnl),
            *(None, None, None, None, self.trades, from_bot),
        )


def of_all_lines(figures: Figures) -> dict[str, list[object]]:
    """Return what the page shows of each instance's lines."""
    return {
        instance: [
            (line.kind, line.quote, line.today, line.is_uncertain, line.pnl, line.starts, line.as_of)
            for line in of_one.lines
        ]
        for instance, of_one in figures.instances.items()
    }


@pytest.mark.parametrize("is_watch_known", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_figures_are_those_of_all_samples(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_watch_known: bool
) -> None:
    """Where nothing tells that `watch` ran, as after a repair of the file, samples alone tell of no gap."""
    chance = random.Random(seed)
    now = 1_764_500_000.0 + chance.random() * DAY_S
    monkeypatch.setattr(time, "time", lambda: now)
    fleet = a_fleet(project_dir=tmp_path, data_dir=tmp_path / "volumes")
    fleet.history_file.parent.mkdir(parents=True)
    db, _aside = database.open_for_writing(fleet.history_file)
    stored, holes = 0, unwatched(chance, now - 1.3 * DAY_S, now)
    with database.transaction(db):
        for span in between(holes, now - 1.3 * DAY_S, now):
            if is_watch_known or chance.random() < 0.3:
                writing.put_watched(db, span)
        for instance in FLEET:
            past = Past(chance, now - chance.choice((3000.0, 40_000.0, 90_000.0, 110_000.0)), now, holes)
            writing.add_samples(db, instance, past.samples)
            writing.put_filled(db, instance, past.filled)
            stored += len(past.samples)
    begin = curve.day_start(now)
    moments = [turning.just_before(begin)]
    for instance in FLEET:  # what the daily loss limits go by
        covered = queries.covered(db, instance)
        counting = queries.pnl_samples_at(db, instance, begin, now, moments=moments)
        assert curve.days(counting, covered, now) == curve.days(
            queries.samples(db, instance, begin, now), covered, now
        )
    db.close()
    began = reader.began(fleet)

    def history(*, only_counting: bool) -> FleetHistory:
        moments = (lambda end: of_page.moments_of(end, began)) if only_counting else None
        return reader.read(fleet, [], [], of_page.since(now), run_ends=True, moments=moments)

    some, every = history(only_counting=True), history(only_counting=False)
    expected, figures = of_page.figures(every, began), of_page.figures(some, began)
    assert figures.curves == expected.curves
    assert figures.marks == expected.marks
    assert of_all_lines(figures) == of_all_lines(expected)
    for instance, of_one in expected.instances.items():
        assert figures.instances[instance]._replace(lines=()) == of_one._replace(lines=())
    if stored > 2000 and is_watch_known:
        assert sum(len(one.samples) for one in some.instances) < 0.6 * stored


def test_a_reading_that_costs_much_comes_less_often_and_a_new_day_is_read_at_once() -> None:
    noon = curve.day_start(1_764_500_000.0) + DAY_S / 2
    assert interval_after(0.01, noon) == EVERY_S
    assert interval_after(120 * SHARE_OF_CPU, noon) == pytest.approx(120.0)
    assert interval_after(9.0, noon) == LONG_FOR_S
    assert interval_after(9.0, curve.next_day_start(noon) - 7) == pytest.approx(7.0)


def test_figures_of_another_day_are_read_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has slept over midnight waits for the rest of the interval, which it has not slept
    through by its own time.
    """
    now = curve.day_start(1_764_500_000.0) + DAY_S / 2
    monkeypatch.setattr(time, "time", lambda: now)
    figures, asked = FigureReader(Session(tmp_path), Readers()), list[float]()
    monkeypatch.setattr(figures.thread, "at_once", lambda: asked.append(now))
    assert figures.latest.at is None
    figures._figures = Figures(now)
    assert figures.latest.at is not None
    assert not asked
    now += DAY_S
    for _ in range(3):  # a reading takes a moment, and may fail
        assert figures.latest.at is not None
    assert asked == [now]
