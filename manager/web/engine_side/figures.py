"""Read the history of the last day, every minute while the page is read; of longer when asked."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from manager.errors import UsageError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.history import curve, reader, summary, turning
from manager.monitor.history.curve import Currency
from manager.monitor.history.model import Sample
from manager.monitor.history.reader import FleetHistory, InstanceHistory
from manager.monitor.history.summary import Line
from manager.typed import NamedTuple
from manager.web.engine_side import curves
from manager.web.engine_side.curves import Moment
from manager.web.engine_side.marks import Mark, newest, of_instance
from manager.web.engine_side.observer import Readers, Repeated, as_error

EVERY_S = 60.0
SHARE_OF_CPU = 1 / 400
"""A reading that costs more of a processor comes less often: of 200 bots it is a second's work each time.
Today's P&L and that of all runs are brought up to date by the bots' reports in between (`since_read`).
"""
DAY_S = 86_400.0
TREND_VALUES = 48
CURVE_VALUES = 145
OF_EACH_VALUE = 2
"""Samples that are read for each value of a curve over more than a day."""
RANGES: Mapping[str, float] = {"1d": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S, "all": float("inf")}
SHORTEST_S = 900.0
"""What a curve shows at least, also of a fleet that has just begun."""
LONG_FOR_S = 300.0
"""How long a curve over more than a day is reused: reading all the samples takes a moment."""


class InstanceFigures(NamedTuple):
    """Hold what one instance earned: today, in all its runs, and over a day, by kind and currency.

    `last`: the sample that its lines end with, `last_stored` the one that `in_all` does.
    """

    lines: Sequence[Line] = ()
    in_all: Mapping[Currency, Decimal] = MappingProxyType({})
    trends: Mapping[Currency, Sequence[str | None]] = MappingProxyType({})
    last: Mapping[Currency, Sample] = MappingProxyType({})
    last_stored: Sample | None = None


class Figures(NamedTuple):
    """Hold what the fleet earned from `begin` to `at`, over a day; None before the first reading."""

    at: float | None = None
    begin: float | None = None
    instances: Mapping[str, InstanceFigures] = MappingProxyType({})
    curves: Mapping[Currency, Sequence[Decimal | None]] = MappingProxyType({})
    marks: Mapping[Currency, Sequence[Mark]] = MappingProxyType({})
    notes: Sequence[Text] = ()


class FigureReader:
    """Hold the latest figures."""

    def __init__(self, session: Session, readers: Readers) -> None:
        self._session = session
        self._figures = Figures()
        self._day = ""
        self.thread = Repeated("figures", EVERY_S, readers, self.read_again)

    @property
    def latest(self) -> Figures:
        """Return the last figures. Where they are of another day, they are read again at once: the clock may
        have been set, or the machine have slept, and the time to the next reading goes on from there.
        """
        at, today = self._figures.at, curve.day_of(time.time())
        if at is not None and today not in {self._day, curve.day_of(at)}:
            self.thread.at_once()
        self._day = today
        return self._figures

    def read_again(self) -> None:
        """Read the history now. One that cannot be read is said in the notes."""
        now, began_at = time.time(), time.thread_time()
        try:
            project = self._session.project()
            began = reader.began(project.fleet)
            fleet_history = reader.read(
                project.fleet,
                project.specs,
                [],
                since(now),
                run_ends=True,
                moments=lambda end: moments_of(end, began),
            )
            self._figures = _kept(self._figures, figures(fleet_history, began))
        except Exception as problem:  # noqa: BLE001 - a bug must not end the readings, and is said on the page
            self._figures = self._figures._replace(notes=(Text("{why}", why=as_error(problem)),))
        self.thread.interval = interval_after(time.thread_time() - began_at, time.time())


def interval_after(cpu_s: float, now: float) -> float:
    """Return how many seconds after a reading that has cost so much the next one is due: with a new day at
    once, of which today's P&L is. Pure.
    """
    interval = max(EVERY_S, min(LONG_FOR_S, cpu_s / SHARE_OF_CPU))
    until_midnight = curve.next_day_start(now) - now
    return min(interval, until_midnight) if until_midnight > 0 else interval


def _kept(before: Figures, now: Figures) -> Figures:
    """Return the figures of now with the very objects of before where nothing is new: answers stay."""
    instances = {}
    for instance, of_one in now.instances.items():
        known = before.instances.get(instance)
        instances[instance] = known if known is not None and known == of_one else of_one
    return now._replace(instances=instances)


class Ranges:
    """Hold the fleet's curves over more than a day, each as long as it is good."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._figures: dict[str, tuple[float, Figures]] = {}

    def over(self, name: str) -> Figures:
        """Return the curves over that range; one reader waits for another's. Raises ManagerError."""
        with self._lock:
            read_at, figures = self._figures.get(name, (float("-inf"), Figures()))
            if time.monotonic() - read_at > LONG_FOR_S:
                figures = self._read(RANGES[name])
                self._figures[name] = (time.monotonic(), figures)
            return figures

    def _read(self, length: float) -> Figures:
        project, now = self._session.project(), time.time()
        begin = max(now - length, reader.began(project.fleet) or now - DAY_S)
        every = (now - begin) / CURVE_VALUES / OF_EACH_VALUE
        fleet_history = reader.read(project.fleet, project.specs, [], begin, every=every)
        return curves_over(fleet_history, begin)


def since(now: float) -> float:
    """Return from when on the history is read: a whole day, and the whole of today."""
    return min(now - DAY_S, curve.day_start(now))


def moments_of(end: float, began: float | None) -> list[float]:
    """Return the moments at which `figures` needs to know what was earned. Pure."""
    return sorted(
        {
            *curves.moments(_begin(end, began), end, CURVE_VALUES),
            *curves.moments(end - DAY_S, end, TREND_VALUES),
            turning.just_before(since(end)),
            turning.just_before(curve.day_start(end)),
        }
    )


def _begin(end: float, began: float | None) -> float:
    """Return from when on the fleet's curves are drawn: over a day, or since the history `began`."""
    return end - DAY_S if began is None else max(end - DAY_S, min(began, end - SHORTEST_S))


def figures(fleet_history: FleetHistory, began: float | None = None) -> Figures:
    """Return the figures of a history, with curves over a day, or since it `began`. Pure."""
    end = fleet_history.now
    figures_of: dict[str, InstanceFigures] = {}
    lines_of = {
        history.instance: _lines(history, fleet_history, since(end)) for history in fleet_history.instances
    }
    for history in fleet_history.instances:
        lines = lines_of[history.instance]
        trends = {
            (line.kind, line.quote or ""): _exact(
                curves.values(_curve(history, line, end - DAY_S, end, TREND_VALUES))
            )
            for line in lines
        }
        figures_of[history.instance] = InstanceFigures(
            lines,
            curve.of_runs(history.run_ends),
            trends,
            {key: samples[-1] for key, samples in curve.by_currency(history.samples).items()},
            next(iter(history.run_ends), None),
        )
    return _curves_over(fleet_history, _begin(end, began), lines_of)._replace(instances=figures_of)


def curves_over(fleet_history: FleetHistory, begin: float) -> Figures:
    """Return the fleet's curves from then on, with what is marked on them. Pure."""
    lines = {history.instance: _lines(history, fleet_history, begin) for history in fleet_history.instances}
    return _curves_over(fleet_history, begin, lines)


def _curves_over(
    fleet_history: FleetHistory, begin: float, lines_of: Mapping[str, Sequence[Line]]
) -> Figures:
    """Return them out of the instances' lines, whose points are the same from whenever on these count."""
    end = fleet_history.now
    by_currency: dict[Currency, list[list[Moment]]] = defaultdict(list)
    marks: dict[Currency, list[Mark]] = defaultdict(list)
    for history in fleet_history.instances:
        of_one = of_instance(history, begin, end)
        for line in lines_of[history.instance]:
            key = (line.kind, line.quote or "")
            by_currency[key].append(_curve(history, line, begin, end, CURVE_VALUES))
            marks[key].extend(of_one)
    totals = {key: curves.together(members) for key, members in sorted(by_currency.items())}
    marked = {key: newest(members) for key, members in marks.items()}
    return Figures(end, begin, {}, totals, marked, fleet_history.notes)


def _lines(history: InstanceHistory, fleet_history: FleetHistory, start: float) -> list[Line]:
    return [line for line in summary.lines(history, fleet_history, start) if line.quote is not None]


def _exact(values: Iterable[Decimal | None]) -> list[str | None]:
    """Return amounts as every look tells them: that many are written once a reading."""
    return [None if value is None else format(value, "f") for value in values]


def _curve(history: InstanceHistory, line: Line, begin: float, end: float, count: int) -> list[Moment]:
    return curves.of_instance(line.points, history.covered, curves.moments(begin, end, count))


def of_history(
    session: Session, instance: str, start: float, *, is_seen: bool
) -> tuple[InstanceHistory, FleetHistory]:
    """Return one instance's history, and the whole that it is of.

    Raises UsageError for an unknown one; one that `is_seen`, such as an orphan, may have none.
    """
    project = session.project()
    try:
        fleet_history = reader.read(project.fleet, project.specs, [instance], start)
    except UsageError:
        if not is_seen:
            raise
        fleet_history = FleetHistory([InstanceHistory(instance)], (), time.time())
    return fleet_history.instances[0], fleet_history
