"""Look for older copies of moved instances that trade, here or on the trader's other machines.

They are asked once a minute, in a thread that delays no look; nothing is loaded without config/hosts.toml.
"""

from __future__ import annotations

import time
from threading import Thread

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet.snapshot import PlanInput
from manager.i18n import Text
from manager.monitor.watch.alert_rules import MACHINE, Condition

EVERY_S = 60.0


class TwinKeeper:
    """Keep what the latest answers say."""

    def __init__(self) -> None:
        self._next = 0.0
        self._texts: tuple[Text, ...] = ()
        self._thread: Thread | None = None
        self.has_looked = False

    def look_if_due(self, fleet: Fleet, plan_input: PlanInput) -> None:
        """Begin to ask anew where that is due."""
        if not fleet.hosts_file.exists():
            self._texts, self.has_looked = (), True
        elif time.monotonic() >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = time.monotonic() + EVERY_S
            live = [
                instance
                for instance, container in plan_input.containers.items()
                if container.mode == "live" and plan_input.is_up(instance)
            ]
            self._thread = Thread(target=self.look, args=(fleet, live), daemon=True)
            self._thread.start()

    def look(self, fleet: Fleet, live: list[str]) -> None:
        """Ask, unless others have asked a moment ago, and keep what is found."""
        from manager.ops.hosts import account_looks, registry

        try:
            hosts = list(registry.readable(fleet.project_dir)[0].values())
            answers = account_looks.recent(fleet, hosts, EVERY_S / 2)
            self._texts = tuple(twin.text for twin in account_looks.twins(fleet, live, answers))
            self.has_looked = True
        except ManagerError:  # no key of its own, as on a full disk; a copy trades on all the same
            return

    def conditions(self) -> list[Condition]:
        """Return that two bots of one instance may trade, if so."""
        if not self._texts:
            return []
        first, *more = self._texts
        return [Condition(MACHINE, "twin", first, tuple(str(text) for text in more))]
