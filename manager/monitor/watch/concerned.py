"""Find the instances that `watch` looks at every second: not those of which no time makes a condition."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from manager.config.fleet import Alerts
from manager.fleet import doing
from manager.fleet.instance import Instance
from manager.monitor.watch import alert_rules
from manager.monitor.watch.alert_rules import Progress, down
from manager.monitor.watch.history import History, Past

_Known = tuple[Instance, Past | None, Progress | None]
"""All that an instance's conditions are made of, but the rules and the time."""


class Concerned:
    """Hold when each instance is to be looked at again, as long as nothing new is known about it.

    Of one that is stopped by a person or was never started, no time that passes makes a condition. One that
    works as it should is looked at again when its report grows old; one whose report is old, and of which
    there is no condition, only with something new. All others are looked at each second, and all at once
    with other rules, or a clock that is set back.
    """

    def __init__(self) -> None:
        self._basis: tuple[Mapping[str, Instance], History, Mapping[str, Progress], Alerts] | None = None
        self._known: Mapping[str, _Known] = {}
        self._due: dict[str, float] = {}
        """Instance → until when nothing is to be found about it; those that are looked at are not in it."""
        self._next = math.inf
        self._at = -math.inf
        self._views: Mapping[str, Instance] = {}
        self._well: frozenset[str] = frozenset()
        self.calm: frozenset[str] = frozenset()
        """The instances that are not looked at and work as they should."""

    def of(
        self,
        views: Mapping[str, Instance],
        history: History,
        answers: Mapping[str, Progress],
        rules: Alerts,
        now: float,
    ) -> Mapping[str, Instance]:
        """Return the instances of which there may be a condition now.

        What nothing has happened to is the very object of before in a new look.
        """
        basis, before = (views, history, answers, rules), self._basis
        is_same = before is not None and all(new is old for new, old in zip(basis, before, strict=True))
        if is_same and self._at <= now <= self._next:
            self._at = now
            return self._views
        if before is None or rules != before[3] or now < self._at:
            self._due = {}
        self._basis, self._at, known = basis, now, self._known
        self._known = {
            instance: (view, history.pasts.get(instance), answers.get(instance))
            for instance, view in views.items()
        }
        kept = {
            instance: until
            for instance, until in self._due.items()
            if now <= until and instance in views and _is_same(known[instance], self._known[instance])
        }
        off = {
            instance: math.inf
            for instance, view in views.items()
            if instance not in kept
            and view.status.own_state in {"stopped", "missing"}
            and down(view, history, rules) is None
        }
        self._well &= kept.keys()
        self._leave({**kept, **off})
        return self._views

    def settle(self, conditions: Container[str]) -> None:
        """Leave those alone that work as they should, or are silent. `conditions`: the instances of which
        there is one.
        """
        if not self._views:
            return
        well = alert_rules.well(self._views.values(), self._at)
        due = {
            instance: math.inf if instance not in well else _late_at(view)
            for instance, view in self._views.items()
            if (instance in well or _is_silent(view, self._at))
            and instance not in conditions
            and not _has_exceeded_memory(view)
        }
        self._well |= well & due.keys()
        self._leave({**self._due, **due})

    def _leave(self, due: dict[str, float]) -> None:
        """Leave these alone, each until then, and look at the others."""
        assert self._basis is not None
        self._due, self._next, self.calm = due, min(due.values(), default=math.inf), self._well
        self._views = {instance: view for instance, view in self._basis[0].items() if instance not in due}


def _is_same(some: _Known, others: _Known) -> bool:
    """Return whether nothing new is known; a view that is made anew counts as new."""
    return some[0] is others[0] and some[1:] == others[1:]


def _is_silent(view: Instance, now: float) -> bool:
    return view.status.own_state == "running" and doing.is_silent(view, now)


def _late_at(view: Instance) -> float:
    report = view.report
    return math.inf if report is None or report.at is None else doing.late_at(report.at, view.supervisor)


def _has_exceeded_memory(view: Instance) -> bool:
    """Return whether its last exit was so: said for an hour, by a clock that may have been set back."""
    last = view.supervisor.last_exit if view.supervisor is not None else None
    return last is not None and last.oom
