"""What `top` shows, looked at again and again: the fleet, what it uses, and in turns what its bots report."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.errors import Problem
from manager.fleet import doing
from manager.fleet.bot_report import Report
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.monitor.stats import reports
from manager.monitor.stats.collect import addresses
from manager.monitor.stats.instance_stats import InstanceStats, with_best_report
from manager.monitor.stats.sampler import Sampler

REPORT_EVERY_S = 10.0
"""A P&L does not need every look, and an answer costs a bot some milliseconds that it would rather trade in."""

RETRY_S = 3.0
"""After a bot has not answered: it may only have been busy."""

REPORT_KEPT_S = 30.0
"""What a bot said is shown no longer than this when it says nothing any more: old figures are no figures."""

REPORTS_WITHIN_S = 0.5
"""Those that are asked in one look; a bot that hangs holds up the rest no longer than this. The first look may take longer."""


class Snapshot(NamedTuple):
    """One look. `at` in seconds of the steady clock; `problems`: what of the project cannot be used."""

    at: float
    rows: Sequence[InstanceStats]
    fleet: Fleet
    problems: Sequence[Problem]


class Source:
    """Looks at the fleet, in one thread. Keeps what makes the next look cheap."""

    def __init__(self, session: Session, selection: Selection, interval: float) -> None:
        self._session, self._selection = session, selection
        self._interval = interval
        self._meter = Sampler(session.engine().statistics)
        self._reports: dict[str, tuple[float, Report]] = {}
        self._ask_at: dict[str, float] = {}

    def look(self) -> Snapshot:
        """The fleet now. Raises ManagerError: no engine, a project that cannot be read."""
        snapshot = self._session.observe()
        views = doing.with_reports(snapshot.project.fleet, self._chosen(snapshot))
        used = self._meter.measure(
            view.container.id for view in views if view.container and view.container.is_up
        )
        self._ask(snapshot, views)
        rows = [
            with_best_report(
                view,
                used.get(view.container.id) if view.container else None,
                self._reports[view.id][1] if view.id in self._reports else None,
            )
            for view in views
        ]
        problems = [*snapshot.foreign(), *snapshot.project.problems]
        return Snapshot(time.monotonic(), rows, snapshot.project.fleet, problems)

    def _chosen(self, snapshot: FleetSnapshot) -> list[Instance]:
        """Those named on the command line, else all. One that was taken down meanwhile, config and all, is no error."""
        ids = self._selection.named(snapshot.project)
        if ids is None:
            return list(snapshot.views.values())
        return [snapshot.views[instance] for instance in ids if instance in snapshot.views]

    def require_known(self) -> None:
        """Raises UsageError for an id on the command line that nothing has."""
        selected(self._selection, self._session.observe())

    def _ask(self, snapshot: FleetSnapshot, views: Sequence[Instance]) -> None:
        """Asks the bots whose turn it is."""
        there = addresses(snapshot, views)
        now = time.monotonic()
        turn = due(there, self._ask_at, now, self._interval)
        within = REPORTS_WITHIN_S if self._ask_at else reports.TIMEOUT_S
        found = reports.fetch_reports({each: there[each] for each in turn}, within)
        for each in turn:
            self._ask_at[each] = now + (REPORT_EVERY_S if each in found else RETRY_S)
        self._ask_at = {each: at for each, at in self._ask_at.items() if each in there}
        self._reports.update((each, (now, said)) for each, said in found.items())
        self._reports = {
            each: (at, said)
            for each, (at, said) in self._reports.items()
            if each in there and now - at < REPORT_KEPT_S
        }


def due(ids: Iterable[str], ask_at: Mapping[str, float], now: float, interval: float) -> list[str]:
    """Whom to ask in this look: everybody who never was, and of those whose time has come as many as get round in time.

    So a fleet that was asked all at once in the first look is asked in even shares from then on.
    """
    ids = list(ids)
    never = [each for each in ids if each not in ask_at]
    late = sorted((each for each in ids if ask_at.get(each, math.inf) <= now), key=lambda each: ask_at[each])
    return never + late[: math.ceil((len(ids) - len(never)) * interval / REPORT_EVERY_S)]
