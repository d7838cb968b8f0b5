"""Look for what only several machines together show: older copies of moved instances that trade, bots of two
machines on one account, moved bots that are not where they went. And for moves that were interrupted.

The others are asked once a minute, in a thread that delays no look; nothing is loaded without
config/hosts.toml and without moves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING

from manager.config.bot_environment import LiveContainer
from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.monitor.watch.kinds import Kind, MachineKind
from manager.util.kept_text import english

if TYPE_CHECKING:
    from manager.monitor.metrics.families import Moves
    from manager.ops.hosts.account_looks import HostAnswer
    from manager.ops.hosts.generations import Gone, Lost

EVERY_S = 60.0
AGAIN_S = 5.0
LASTS_S = 30.0
"""What two machines told at different moments, as around a move, may look like two bots on one account, or
like one that has not arrived: each is asked anew, which takes 20 s at most, before an alert.
"""
INTERRUPTED_S = 60.0
"""Whoever sees a move fail runs it again."""
NO_VIEWS: Mapping[str, Instance] = MappingProxyType({})


class TwinKeeper:
    """Keep what the latest answers say."""

    def __init__(self) -> None:
        self._next = self._next_moves = 0.0
        self._twins: tuple[Text, ...] = ()
        self._shared: tuple[Text, ...] = ()
        self._lost: tuple[Lost, ...] = ()
        self._moves: tuple[Text, ...] = ()
        self._answers: Sequence[HostAnswer] = ()
        self._thread: Thread | None = None
        self._is_lost_known = False
        self.has_looked = False

    def look_if_due(self, fleet: Fleet, snapshot: FleetSnapshot) -> None:
        """Begin to ask anew where that is due."""
        if not fleet.hosts_file.exists():
            self._twins, self._shared, self._lost, self._answers = (), (), (), ()
            self.has_looked = self._is_lost_known = True
        elif time.monotonic() >= self._next and (self._thread is None or not self._thread.is_alive()):
            self._next = time.monotonic() + EVERY_S
            self._thread = Thread(
                target=self.look, args=(fleet, snapshot.trading(()), snapshot.views), daemon=True
            )
            self._thread.start()
        if self.has_looked and time.monotonic() >= self._next_moves:
            self._next_moves = time.monotonic() + AGAIN_S
            self.look_at_moves(fleet, snapshot.views)

    def look(self, fleet: Fleet, live: list[LiveContainer], views: Mapping[str, Instance] = NO_VIEWS) -> None:
        """Ask, unless others have asked a moment ago, and keep what is found."""
        from manager.ops.hosts import account_looks, generations, registry

        try:
            hosts = list(registry.readable(fleet.project_dir)[0].values())
            gone = generations.gone(fleet, views.values())
            was_well = not self._shared and not self._lost
            answers = (
                account_looks.recent(fleet, hosts, EVERY_S / 2)
                if was_well and not gone  # only who answers now tells that something is not there
                else account_looks.ask(fleet, account_looks.key_of(fleet), hosts)
            )
            twins = account_looks.twins(fleet, [container.instance for container in live], answers)
            shared = tuple(account.text for account in account_looks.shared(fleet, live, answers, twins))
            self._keep_lost(gone, answers)
            if was_well and (shared or self._lost):
                self._next = time.monotonic() + AGAIN_S
            self._twins, self._shared = tuple(twin.text for twin in twins), shared
            self._answers, self.has_looked = answers, True
        except ManagerError:  # no key of its own, as on a full disk; a copy trades on all the same
            return

    def _keep_lost(self, gone: Mapping[str, Gone], answers: Sequence[HostAnswer]) -> None:
        """Keep which moved instances are not where they went; of a machine that is silent, what it told."""
        from manager.ops.hosts import account_looks

        silent = {answer.host.name for answer in answers if answer.why is not None}
        kept = [lost for lost in self._lost if lost.instance in gone and lost.host in silent]
        self._lost = (*account_looks.lost(gone, answers), *kept)
        places = {place.host.name for mine in gone.values() if (place := account_looks.where(mine, answers))}
        self._is_lost_known = not places & silent - {lost.host for lost in kept}

    def look_at_moves(self, fleet: Fleet, views: Mapping[str, Instance]) -> None:
        """See whether a move was interrupted."""
        if not fleet.moves_dir.is_dir():
            self._moves = ()
            return
        from manager.ops.move import interrupted

        self._moves = tuple(move.text for move in interrupted.find(fleet, views, self._answers))

    def unknown(self) -> list[Kind]:
        """Return what was not looked for yet, or cannot be known now."""
        if not self.has_looked:
            return ["twin", "shared_account", "lost", "move"]
        return [] if self._is_lost_known else ["lost"]

    def moves(self) -> Moves:
        """Return for metrics how many moved live instances are not where they went, and how many moves were
        interrupted.
        """
        from manager.monitor.metrics.families import Moves

        if not self.has_looked:
            return Moves()
        return Moves(len(self._lost) if self._is_lost_known or self._lost else None, len(self._moves))

    def conditions(self) -> list[Condition]:
        """Return what may trade twice, on one account, or nowhere, if so."""
        return [
            *_conditions("twin", self._twins, 0.0),
            *_conditions("shared_account", self._shared, LASTS_S),
            *_conditions("lost", (lost.text for lost in self._lost), LASTS_S),
            *_conditions("move", self._moves, INTERRUPTED_S),
        ]


def _conditions(kind: MachineKind, texts: Iterable[Text], after: float) -> list[Condition]:
    together = tuple(texts)
    if not together:
        return []
    first, *more = together
    case = "; ".join(sorted(map(english, together)))  # another one is said beside those that were
    return [Condition(MACHINE, kind, first, tuple(str(text) for text in more), after, case=case)]
