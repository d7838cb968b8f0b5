"""Find the instances that `watch` looks at every second: not those of which no time makes a condition."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from manager.config.fleet import Alerts
from manager.fleet import doing
from manager.fleet.instance import Instance
from manager.monitor.watch import alert_rules
from manager.monitor.watch.alert_rules import Progress, down
from manager.monitor.watch.history import History


class Concerned:
    """Hold the instances of which there may be a condition before the next look at the fleet.

    Of the others, each stopped by a person or never started, no time that passes makes one. One that works as
    it should is looked at again when its report grows old, or something new is known; one whose report is
    old, and of which there is no condition, only then.
    """

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        self._views: Mapping[str, Instance] = {}
        self._calm: Mapping[str, float] = {}
        """Instance → until when nothing is to be found about it."""
        self._calm_until = math.inf
        self._silent: frozenset[str] = frozenset()
        """Those of them that do not work as they should."""

    def of(
        self,
        views: Mapping[str, Instance],
        history: History,
        answers: Mapping[str, Progress],
        rules: Alerts,
        now: float,
    ) -> Mapping[str, Instance]:
        """Return those of the instances; a look's objects are new with each look, and so are answers."""
        basis = views, history, answers, rules
        if not self._basis or any(new is not old for new, old in zip(basis, self._basis, strict=True)):
            self._basis, self._calm, self._calm_until, self._silent = basis, {}, math.inf, frozenset()
            self._views = {
                view.id: view
                for view in views.values()
                if view.status.own_state not in {"stopped", "missing"}
                or down(view, history, rules) is not None
            }
        elif now > self._calm_until:
            restless = {*self._views, *self._calm}
            self._views = {instance: view for instance, view in views.items() if instance in restless}
            self._calm, self._calm_until, self._silent = {}, math.inf, frozenset()
        return self._views

    @property
    def calm(self) -> frozenset[str]:
        """Return the other instances that work as they should."""
        return frozenset(self._calm) - self._silent

    def settle(self, conditions: Container[str]) -> None:
        """Leave those alone that work as they should, or are silent. `conditions`: the instances of which
        there is one.
        """
        if not self._views:
            return
        well = alert_rules.well(self._views.values())
        silent = frozenset(instance for instance, view in self._views.items() if _is_silent(view))
        calm = {
            instance: math.inf if instance in silent else _late_at(view)
            for instance, view in self._views.items()
            if instance in well | silent and instance not in conditions and not _has_exceeded_memory(view)
        }
        self._silent |= silent.intersection(calm)
        self._views = {instance: view for instance, view in self._views.items() if instance not in calm}
        self._calm = {**self._calm, **calm}
        self._calm_until = min(self._calm.values(), default=math.inf)


def _is_silent(view: Instance) -> bool:
    return view.status.own_state == "running" and doing.is_silent(view)


def _late_at(view: Instance) -> float:
    report = view.report
    return math.inf if report is None or report.at is None else doing.late_at(report.at, view.supervisor)


def _has_exceeded_memory(view: Instance) -> bool:
    """Return whether its last exit was so: said for an hour, by a clock that may have been set back."""
    last = view.supervisor.last_exit if view.supervisor is not None else None
    return last is not None and last.oom
