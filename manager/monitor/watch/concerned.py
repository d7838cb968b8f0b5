"""Find the instances that `watch` looks at every second; found anew only when the fleet was observed."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config.fleet import Alerts
from manager.fleet.instance import Instance
from manager.monitor.watch.alert_rules import down
from manager.monitor.watch.history import History


class Concerned:
    """Hold the instances of which there may be a condition before the next look at the fleet.

    Of the others, each stopped by a person or never started, no time that passes makes one.
    """

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        self._views: Mapping[str, Instance] = {}

    def of(self, views: Mapping[str, Instance], history: History, rules: Alerts) -> Mapping[str, Instance]:
        """Return those of the instances; a look's objects are new with each look."""
        basis = views, history, rules
        if not self._basis or any(new is not old for new, old in zip(basis, self._basis, strict=True)):
            self._basis = basis
            self._views = {
                view.id: view
                for view in views.values()
                if view.status.own_state not in {"stopped", "missing"}
                or down(view, history, rules) is not None
            }
        return self._views
