"""Find the moves that were begun and not ended, and that nobody goes on with: their bots run nowhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import lock, tombstone
from manager.fleet.instance import Instance
from manager.fleet.tombstone import UNKNOWN
from manager.i18n import Text
from manager.ops.hosts import account_looks, generations, registry
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.registry import HERE
from manager.ops.move import journal as journals
from manager.ops.move import staging
from manager.ops.move.journal import Journal
from manager.typed import NamedTuple

ARRIVES_WITHIN_S = 900.0
"""The machine that an instance is moved to cannot see whether another one goes on with that, and restoring a
large database takes minutes.
"""


class Interrupted(NamedTuple):
    """Hold one. `text`: what became of the instance, and what to do."""

    instance: str
    text: Text


def find(
    fleet: Fleet,
    views: Mapping[str, Instance],
    answers: Iterable[HostAnswer] | None = None,
) -> list[Interrupted]:
    """Return those that this machine began, and those to it of which it knows.

    `answers`: what the other machines told of what runs there; None for what they told last.
    """

    moves: dict[str, Interrupted] = {}
    for instance, journal in _of_this_machine(fleet):
        answers = _told(fleet) if answers is None else list(answers)
        where = _where(fleet, instance, journal, answers)
        if not _is_done_otherwise(fleet, instance, journal, views.get(instance), where, answers):
            moves[instance] = Interrupted(instance, _text(instance, journal, where))
    for view in _arriving(fleet, views.values()):
        text = Text(
            "{id} is on no machine: its move to this one was interrupted; run `manager move` again where it"
            " was begun",
            id=view.id,
        )
        moves.setdefault(view.id, Interrupted(view.id, text))
    return [moves[instance] for instance in sorted(moves)]


def _of_this_machine(fleet: Fleet) -> Iterator[tuple[str, Journal]]:
    """Yield the journals of moves that are not done, and at which no command is. `manager move` tells of one
    that is damaged.
    """
    for instance in journals.instances(fleet):
        with suppress(ManagerError):
            journal = journals.load(fleet, instance)
            is_open = journal is not None and not journal.is_done and journal.step != "clean"
            if journal is not None and is_open and not _is_at_work(fleet, instance):
                yield instance, journal


def _told(fleet: Fleet) -> list[HostAnswer]:
    try:
        return account_looks.remembered(fleet, registry.readable(fleet.project_dir)[0].values())
    except ManagerError:  # no key of its own, as on a full disk
        return []


def _is_at_work(fleet: Fleet, instance: str) -> bool:
    """Return whether a command moves it, here or on behalf of another machine."""
    return any(
        lock.holders(staging.lock_file(fleet, instance, name), and_mine=True) for name in staging.LOCKS
    )


def _is_done_otherwise(
    fleet: Fleet,
    instance: str,
    journal: Journal,
    view: Instance | None,
    where: str | None,
    answers: Iterable[HostAnswer],
) -> bool:
    """Return whether nothing is left to do: it runs where it may, was down before, or was moved otherwise."""
    stone = tombstone.find(fleet, instance)
    by = stone.move if stone else tombstone.generation(fleet, instance).move
    if journal.generation <= tombstone.newest(fleet, instance) < UNKNOWN and by != journal.move:
        return True
    if where is None:
        return False
    if not journal.did_run:
        return True
    if where == HERE:
        return view is not None and view.is_bot_up
    is_paper = view is not None and view.mode != "live"  # of which other machines do not tell
    return is_paper or (where, instance) in account_looks.up_there(answers)


def _where(fleet: Fleet, instance: str, journal: Journal, answers: Iterable[HostAnswer]) -> str | None:
    """Return the machine that the instance belongs to at this step; None between both."""
    stone = tombstone.find(fleet, instance)
    is_buried = stone is not None and stone.move == journal.move
    if not journal.has_reached("pack") and not is_buried:
        return journal.source
    has_arrived = journal.has_reached("start") or _has_arrived(fleet, instance, journal, answers)
    return journal.target if has_arrived else None


def _has_arrived(fleet: Fleet, instance: str, journal: Journal, answers: Iterable[HostAnswer]) -> bool:
    """Return whether the target says that this move has brought the instance there.

    A command that was killed while it arrived has not noted that, and a person may have started it since.
    """
    if journal.target == HERE:
        records = [generations.held(fleet, instance)]
    else:
        looks = [answer.look for answer in answers if answer.host.name == journal.target]
        told = [look.generations for look in looks if look is not None and look.generations is not None]
        records = [known[instance] for known in told if instance in known]
    return any(record.is_here and record.move == journal.move for record in records)


def _text(instance: str, journal: Journal, where: str | None) -> Text:
    values = {
        "id": instance,
        "source": journal.source,
        "target": journal.target,
        "words": journals.words(instance, journal.source, journal.target),
    }
    if where == journal.source:
        return Text(
            "{id} may be down: its move from {source} to {target} was interrupted; run `{words}` again, or"
            " `manager move {id} --back`",
            **values,
        )
    if where == journal.target:
        return Text(
            "{id} is on {target}, and is not known to run there: its move from {source} was interrupted; run"
            " `{words}` again, or start it there",
            **values,
        )
    return Text(
        "{id} is on no machine: its move from {source} to {target} was interrupted, and nothing starts it;"
        " run `{words}` again, or `manager move {id} --back`",
        **values,
    )


def _arriving(fleet: Fleet, views: Iterable[Instance]) -> Iterator[Instance]:
    """Yield what has been arriving here for so long that nobody can be at it."""
    for view in views:
        stone = view.tombstone
        is_old = stone is not None and stone.is_arriving and time.time() - stone.at >= ARRIVES_WITHIN_S
        if is_old and not _is_at_work(fleet, view.id):
            yield view
