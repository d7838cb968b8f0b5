"""Look for older copies of moved instances that trade, and for bots of two machines on one account.

They are asked once a minute, in a thread that delays no look; nothing is loaded without config/hosts.toml.
"""

from __future__ import annotations

import time
from threading import Thread

from manager.config.bot_environment import LiveContainer
from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.monitor.watch.kinds import MachineKind
from manager.util.kept_text import english

EVERY_S = 60.0
AGAIN_S = 5.0
LASTS_S = 30.0
"""What two machines told at different moments, as around a move, may look like two bots on one account: each
is asked anew, which takes 20 s at most, before an alert.
"""


class TwinKeeper:
    """Keep what the latest answers say."""

    def __init__(self) -> None:
        self._next = 0.0
        self._texts: tuple[Text, ...] = ()
        self._shared: tuple[Text, ...] = ()
        self._thread: Thread | None = None
        self.has_looked = False

    def look_if_due(self, fleet: Fleet, snapshot: FleetSnapshot) -> None:
        """Begin to ask anew where that is due."""
        if not fleet.hosts_file.exists():
            self._texts, self._shared, self.has_looked = (), (), True
        elif time.monotonic() >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = time.monotonic() + EVERY_S
            self._thread = Thread(target=self.look, args=(fleet, snapshot.trading(())), daemon=True)
            self._thread.start()

    def look(self, fleet: Fleet, live: list[LiveContainer]) -> None:
        """Ask, unless others have asked a moment ago, and keep what is found."""
        from manager.ops.hosts import account_looks, registry

        try:
            hosts = list(registry.readable(fleet.project_dir)[0].values())
            answers = (
                account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
                if self._shared
                else account_looks.recent(fleet, hosts, EVERY_S / 2)
            )
            twins = account_looks.twins(fleet, [container.instance for container in live], answers)
            shared = tuple(account.text for account in account_looks.shared(fleet, live, answers, twins))
            if shared and not self._shared:
                self._next = time.monotonic() + AGAIN_S
            self._texts, self._shared = tuple(twin.text for twin in twins), shared
            self.has_looked = True
        except ManagerError:  # no key of its own, as on a full disk; a copy trades on all the same
            return

    def conditions(self) -> list[Condition]:
        """Return that two bots of one instance, or on one account, may trade, if so."""
        return [*_conditions("twin", self._texts, 0.0), *_conditions("shared_account", self._shared, LASTS_S)]


def _conditions(kind: MachineKind, texts: tuple[Text, ...], after: float) -> list[Condition]:
    if not texts:
        return []
    first, *more = texts
    case = "; ".join(sorted(map(english, texts)))  # another one is said beside those that were
    return [Condition(MACHINE, kind, first, tuple(str(text) for text in more), after, case=case)]
