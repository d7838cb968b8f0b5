"""Keep the answer about an instance as long as what it says stays: most of a fleet is the same in every look.

An answer with a reason is not kept, because reasons tell how long something has lasted; but for one that only
tells how old a running bot's figures are, which is kept until that is another minute.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Mapping, Sequence
from typing import Any

from manager.config.fleet import Fleet
from manager.fleet import causes, doing
from manager.fleet.instance import Instance
from manager.monitor.stats.instance_stats import InstanceStats, uptime_s, usage_object
from manager.monitor.watch.change_detector import gist
from manager.typed import NamedTuple
from manager.web.engine_side import answers
from manager.web.engine_side.figures import Figures, InstanceFigures
from manager.web.engine_side.observer import NO_ALERTS, Alerts, PageSnapshot

REASONS = ("why", "doing_why", "note", "mode_mismatch", "cancel", "needs_person")
OF_AGE = ("note", "needs_person")
"""Those that a bot has of which only the figures are old."""
MINUTE_S = 60.0
EARLIER_S = 0.001


class _KeptAnswer(NamedTuple):
    """Hold an answer, what it is made of, and how long it is true if that stays."""

    row: InstanceStats
    alerts: Alerts
    figures: InstanceFigures
    answer: dict[str, Any]
    until: float

    def is_of(self, row: InstanceStats, alerts: Alerts) -> bool:
        """Return whether it is made of the same; most rows have the very object of the last look, and of most
        others the report is a new one.
        """
        if row is self.row:
            return alerts == self.alerts
        before = self.row
        is_same_report = row.report is before.report or row.report == before.report
        if not is_same_report or row.as_of != before.as_of or alerts != self.alerts:
            return False
        return row.view is before.view or _quiet(row.view) == _quiet(before.view)


def _quiet(view: Instance) -> Instance:
    """Return an instance without what its supervisor writes anew at every probe, and its uptime."""
    container = view.container
    if container is not None and container.engine_state == "running":  # what it means is in the status
        container = container._replace(status="")
    return view._replace(supervisor=gist(view.supervisor), container=container)


class KeptAnswers:
    """Hold the answers about all instances, in one language, for one caller."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None
        self._kept: dict[str, _KeptAnswer] = {}
        self._summary: tuple[Figures, Sequence[dict[str, Any]], dict[str, Any]] | None = None
        """The figures and answers that were summed up last, and the result."""
        self._rows: Sequence[InstanceStats] = ()
        self._told: list[dict[str, Any]] = []
        """The last rows, and the answers about them."""
        self._in_order: list[dict[str, Any]] = []
        """The same answers, worst first."""
        self._figures: Mapping[str, InstanceFigures] = {}
        self._alerts: Mapping[str, Alerts] = {}
        """What they were made of, too."""
        self._at = self._until = -math.inf
        """When they were made, and until when all are true if what they are made of stays."""

    def instances(self, look: PageSnapshot, figures: Figures) -> list[dict[str, Any]]:
        """Return what `answers.instances` does. One that has not changed is the very object of before;
        what is measured in it, and is no news, is of then: see `measure_anew`.
        """
        now = time.time()
        if look.fleet != self._fleet or now < self._at:  # with a clock that is set back, an age is another
            self._fleet, self._kept, self._summary, self._until = look.fleet, {}, None, -math.inf
        is_same = look.rows is self._rows and look.alerts == self._alerts and now <= self._until
        if is_same and figures.instances is self._figures:
            return self._in_order
        self._figures, self._alerts, self._at = figures.instances, look.alerts, now
        kept, told = {}, []
        for row in look.rows:
            instance = row.view.id
            alerts = look.alerts.get(instance, NO_ALERTS)
            of_one, before = figures.instances.get(instance, answers.NO_FIGURES), self._kept.get(instance)
            if (
                before is not None
                and now <= before.until
                and before.figures is of_one
                and ((row is before.row and alerts is before.alerts) or before.is_of(row, alerts))
            ):
                kept[instance] = before if row is before.row else before._replace(row=row)
            else:
                answer = answers.instance(row, look, of_one)
                until = min(_true_until(row, now), _reason_until(row, answer, now))
                before = _KeptAnswer(row, alerts, of_one, answer, until)
                if until >= now:
                    kept[instance] = before
            told.append(before.answer)
        is_other = not _are_same(told, self._told)
        self._kept, self._rows, self._told = kept, look.rows, told
        all_kept = len(kept) == len(told)
        self._until = min((one.until for one in kept.values()), default=-math.inf) if all_kept else -math.inf
        if is_other:
            self._in_order = answers.worst_first(told)
        return self._in_order

    def measure_anew(self) -> None:
        """Write what is measured into the last answers, for whoever reads them whole: most looks have no such
        reader, and it would be half of their cost.
        """
        now = time.time()
        for row, answer in zip(self._rows, self._told, strict=True):
            answer.update(_measured(row, now))

    def fleet(self, look: PageSnapshot, figures: Figures, told: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return what `answers.fleet` does, of what `instances` has returned for the same look."""
        known = self._summary
        if (
            known is None
            or known[0] is not figures
            or (known[1] is not told and not _are_same(known[1], told))
        ):
            known = self._summary = figures, told, answers.summed_up(look, figures, told)
        return answers.fleet(look, figures, told, known[2])


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


def _true_until(row: InstanceStats, now: float) -> float:
    """Return until when an answer is true: a report that grows old says no longer what its bot is doing."""
    report = row.view.report
    if report is None or report.at is None:
        return math.inf
    late_at = doing.late_at(report.at, row.view.supervisor)
    return late_at if now <= late_at else math.inf


def _reason_until(row: InstanceStats, answer: dict[str, Any], now: float) -> float:
    """Return until when the reasons in an answer stay what they are: for ever without any."""
    reasons = {reason for reason in REASONS if answer[reason]}
    if not reasons:
        return math.inf
    of = doing.figures_at(row.view, now)
    is_of_age = (
        reasons <= {*OF_AGE} and answer["note"] and answer["note"] == causes.age_of_figures(row.view, now)
    )
    if not is_of_age or of is None or now < of:
        return -math.inf
    minutes = (now - of) // MINUTE_S
    return of + (minutes + 1) * MINUTE_S - EARLIER_S if minutes and of else -math.inf


def _measured(row: InstanceStats, now: float) -> dict[str, Any]:
    report = row.view.report
    age = None if report is None or report.at is None else max(0, round(now - report.at))
    return {**usage_object(row), "uptime_s": uptime_s(row), "report_age_s": age}
