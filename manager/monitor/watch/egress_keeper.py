"""Keep the firewall rules of `[container] egress` in force.

A reboot, or another firewall that loads its own, drops them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import EngineError, ManagerError
from manager.fleet.project import Project
from manager.i18n import Text, _
from manager.monitor.watch import alert_cases
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.ops.egress import egress_limiter
from manager.util import console

EVERY_S = 60.0


class EgressKeeper:
    """Set the rules again where they are missing; say why where that is not possible."""

    def __init__(self) -> None:
        self._next = 0.0
        self._why: Text | None = None
        self.has_looked = False

    def is_due(self, fleet: Fleet) -> bool:
        """Return whether `look_if_due` would do anything: what allows it costs a look at the fleet's lock."""
        if not egress_limiter.concerns(fleet):
            return self._why is not None or not self.has_looked
        return time.monotonic() >= self._next

    def look_if_due(self, engine: Engine, project: Project, containers: Iterable[Container]) -> None:
        """Look once a minute. Costs one call of iptables, and nothing where `egress` is off."""
        if not egress_limiter.concerns(project.fleet):
            self._why, self.has_looked = None, True
            return
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_S
        from manager.ops.egress import egress

        try:
            has_changed = egress.settle(engine, project)
        except EngineError:
            return  # an alert of its own
        except ManagerError as error:
            self._why, self.has_looked = error.text, True
            return
        self._why, self.has_looked = egress.uncovered(project.fleet, containers), True
        if has_changed:
            console.say(_("the firewall's rules for [container] egress were set anew"))

    def conditions(self) -> list[Condition]:
        """Return that bots may reach what they should not, if so."""
        if self._why is None:
            return []
        text = Text("{why}", why=self._why)
        return [Condition(MACHINE, "egress", text, case=alert_cases.of_text(text))]
