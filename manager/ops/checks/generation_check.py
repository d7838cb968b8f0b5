"""Keep an older copy of an instance from trading, as a restored snapshot of this machine's disk has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from manager.i18n import Text
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.generations import LOST, NEVER_MOVED, GenerationRecord, is_copy, shown


def why_not(
    mine: GenerationRecord, instance: str, answers: Iterable[HostAnswer], dead_hosts: Sequence[str]
) -> Text | None:
    """Return why a live bot may not start here, by what other machines have told last; None if it may.

    A machine that is away counts as it was last seen, unless somebody says that it is dead.
    """
    if mine.number == LOST:
        return Text(
            "its generation here, volumes/secrets/{id}/generation, cannot be read, so that it may be an older"
            " copy; if it trades nowhere else, replace that file by volumes/secrets/{id}/moved of the machine"
            " that it came from, or remove it where no machine has that one",
            id=instance,
        )
    if mine.newest > mine.number:
        place = _called_now(mine, instance, answers)
        return Text(
            "by this machine's own record it was moved to {host} as generation {newest}; here is {number},"
            " an older copy; {remedy}",
            host=mine.to or "?",
            newest=shown(mine.newest),
            number=shown(mine.number),
            remedy=_remedy(instance, place or "HOST"),
        )
    for answer in answers:
        is_dead = answer.why is not None and not answer.is_reached and answer.host.name in dead_hosts
        if answer.is_here or answer.look is None or is_dead:
            continue
        theirs = (answer.look.generations or {}).get(instance, NEVER_MOVED)
        is_live_there = any(other.instance == instance for other in answer.look.live)
        if theirs.newest > mine.number:
            return _older(mine, instance, answer, theirs)
        if is_live_there and is_copy(mine, theirs):
            return Text(
                "host {host} trades it, too, in the same generation {number}: one of the two is a copy of the"
                " other's disk; run `manager --host {host} down {id}` first, or start nothing here",
                host=answer.host.name,
                number=shown(mine.number),
                id=instance,
            )
    return None


def _called_now(mine: GenerationRecord, instance: str, answers: Iterable[HostAnswer]) -> str:
    """Return the name that config/hosts.toml has now for the machine that it went to.

    Its old name may be another machine's by now.
    """
    having = [
        answer.host.name
        for answer in answers
        if answer.look is not None
        and (theirs := (answer.look.generations or {}).get(instance)) is not None
        and theirs.is_here
        and theirs.newest >= mine.newest
    ]
    return mine.to if mine.to in having or not having else having[0]


def _older(mine: GenerationRecord, instance: str, answer: HostAnswer, theirs: GenerationRecord) -> Text:
    words = {
        "host": answer.host.name,
        "newest": shown(theirs.newest),
        "number": shown(mine.number),
        "id": instance,
    }
    if theirs.is_here:
        return Text(
            "host {host} has generation {newest} of it, and here is {number}, an older copy, as of a restored"
            " snapshot; {remedy}",
            **words,
            remedy=_remedy(instance, answer.host.name),
        )
    return Text(
        "host {host} knows that it went to {to} in generation {newest}, and here is {number}, an older copy,"
        " as of a restored snapshot. Restore a backup of generation {newest}; if this copy is the newest that"
        " is left, remove volumes/secrets/{id} and"
        " volumes/state/moves/{id}.json on {host}",
        **words,
        to=theirs.to,
    )


def _remedy(instance: str, host: str) -> Text:
    return Text(
        "it is to trade there alone: run `manager down {id}` here and move its config and its database away;"
        " then `manager move {id} --from {host}` brings it back",
        id=instance,
        host=host,
    )
