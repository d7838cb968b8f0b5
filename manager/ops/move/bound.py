"""Hold a move's two machines to those that it was begun with, and see what has happened to it since."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet.tombstone import UNKNOWN, Tombstone
from manager.i18n import Text
from manager.ops.move import journal as journals
from manager.ops.move.journal import Journal
from manager.ops.move.sides import Side
from manager.typed import NamedTuple
from manager.util import moment
from manager.util.moment import Moment

Say = Callable[[Text], object]


class Move(NamedTuple):
    """Hold what a move needs. `fleet`: of this machine, which keeps the journal.

    `given_at`: when it was asked for; what was ordered later stays in force.
    """

    fleet: Fleet
    instance: str
    source: Side
    target: Side
    say: Say
    given_at: Moment = Moment()

    @property
    def age_s(self) -> float | None:
        """Return how long ago it was asked for; None if that is not known."""
        now = moment.now()
        return max(0.0, now.uptime_s - self.given_at.uptime_s) if now.boot == self.given_at.boot else None

    @property
    def words(self) -> str:
        """Return the command line that goes on with it."""
        return journals.words(self.instance, self.source.name, self.target.name)


def turned(move: Move) -> Move:
    """Return the move back."""
    return move._replace(source=move.target, target=move.source)


def other(move: Move) -> Side:
    """Return the machine that is not this one."""
    return move.source if move.target.host is None else move.target


def bound(move: Move, journal: Journal) -> Move:
    """Return the move with the machine that it was begun with, which checks that itself in each step."""
    if move.target.host is None:
        return move._replace(source=move.source._replace(machine=journal.machine))
    return move._replace(target=move.target._replace(machine=journal.machine))


def require_same(move: Move, journal: Journal) -> None:
    """Raise ManagerError if the other machine's name means another address by now."""
    side = other(move)
    if side.host is not None and journal.url not in ("", side.host.url):
        raise ManagerError(
            "{host} was {url} when the move of {id} was begun, and is {now} by now; add it under that address"
            " again, to end the move",
            host=side.name,
            url=journal.url,
            id=move.instance,
            now=side.host.url,
        )


def is_overtaken(move: Move, journal: Journal) -> bool:
    """Return whether another move has changed since where the instance is, as the journal's source says.

    `move` may go the other way.
    """
    if (journal.source, journal.target) == (move.target.name, move.source.name):
        move = turned(move)
    if (journal.source, journal.target) != (move.source.name, move.target.name):
        return False
    require_same(move, journal)
    asked = {"id": move.instance, "salt": os.urandom(16).hex()}
    here = bound(move, journal).source.step("look", asked)
    by = here["stone"]["move"] if here["stone"] else here["here_by"]
    return bool(journal.generation <= here["newest"] < UNKNOWN and by != journal.move)


def has_lost_journal(move: Move, stone: Tombstone, there: Mapping[str, Any], last: Journal | None) -> bool:
    """Return whether the source has the tombstone of a move that has not arrived, and no journal of it."""
    is_to_target = stone.to in {move.target.label, move.target.earlier_label}
    if not is_to_target or stone.is_arriving or (last is not None and last.move == stone.move):
        return False
    arriving = there["stone"]
    is_arriving = arriving is not None and arriving["move"] == stone.move and arriving["is_arriving"]
    return bool(there["newest"] < stone.generation or (is_arriving and there["here"] < stone.generation))
