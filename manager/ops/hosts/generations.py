"""Compare which generation of an instance each machine has: an older copy must not trade.

A restored snapshot of a disk brings back a bot without its tombstone. What its machine has forgotten, the
other one still knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from manager.config.fleet import Fleet
from manager.config.models import ID_PATTERN
from manager.fleet import tombstone
from manager.fleet.instance import Instance
from manager.fleet.tombstone import HAS_ARRIVED, UNKNOWN
from manager.i18n import Text
from manager.ops.hosts.registry import HERE
from manager.typed import NamedTuple
from manager.util import strict_json

LOST = -1
"""The generation that is here, where its file cannot be read: older than any."""


class GenerationRecord(NamedTuple):
    """Hold what a machine knows of an instance. `newest`: the newest generation, here or elsewhere.

    `number`: the one that is here, brought by `move`. `is_here`: it has not been moved away. `to`: where to.
    """

    newest: int = 0
    number: int = 0
    move: str = ""
    is_here: bool = True
    to: str = ""


class Gone(NamedTuple):
    """Hold where a live instance went. `to`: what the machine was called then; `url`: its address, if known.

    `generation`: the one that it has there.
    """

    generation: int
    to: str
    url: str = ""


NEVER_MOVED = GenerationRecord()
MOST_BYTES = 10_000


class Lost(NamedTuple):
    """Hold an instance that was moved to `host`, which does not know of that."""

    instance: str
    host: str

    @property
    def text(self) -> Text:
        """Return what became of it, and what to do."""
        return Text(
            "{id} was moved to {host}, which knows nothing of that: its disk may be an older one, and nobody"
            " trades what is open; restore a backup of {id} there, made there since the move, and start it"
            " there",
            id=self.instance,
            host=self.host,
        )


class Twin(NamedTuple):
    """Hold a bot on `host` whose instance is on `other`, too, or was.

    `is_up`: it runs, and is not about to.
    """

    instance: str
    host: str
    number: int
    other: str
    newest: int
    is_up: bool = True

    @property
    def text(self) -> Text:
        """Return what it is, and what to do."""
        if self.number == LOST:
            return Text(
                "{id} trades on {host}, where its generation, volumes/secrets/{id}/generation, cannot be"
                " read: it may be an older copy; if it trades nowhere else, replace that file by"
                " volumes/secrets/{id}/moved of the machine that it came from, or remove it where no machine"
                " has that one; else `{halt}` ends it",
                id=self.instance,
                host=self.host,
                halt=self._halt,
            )
        if self.newest == self.number:
            return Text(
                "{id} is on {host} and on {other} in generation {number}: one of them is a copy of the"
                " other's disk; halt that one",
                id=self.instance,
                host=self.host,
                other=self.other,
                number=shown(self.number),
            )
        return Text(
            "{id} trades on {host} in generation {number}, and {other} knows of generation {newest}: it is an"
            " older copy, as of a restored snapshot; `{halt}` ends it",
            id=self.instance,
            host=self.host,
            number=shown(self.number),
            other=self.other,
            newest=shown(self.newest),
            halt=self._halt,
        )

    @property
    def _halt(self) -> str:
        return f"manager {'' if self.host == HERE else f'--host {self.host} '}halt {self.instance}"


def shown(number: int) -> str:
    """Return a generation for people; one that cannot be read is a question mark."""
    return "?" if number in (UNKNOWN, LOST) else str(number)


def held(fleet: Fleet, instance: str) -> GenerationRecord:
    """Return what this machine knows: by its files, and by its own record of the last move."""
    here, stone = tombstone.generation(fleet, instance), tombstone.find(fleet, instance)
    newest, to = tombstone.newest(fleet, instance), stone.to if stone else ""
    recorded, target = _recorded(fleet, instance)
    if recorded > newest:
        newest, to = recorded, target
    number = LOST if here.number == UNKNOWN else here.number
    return GenerationRecord(newest, number, here.move, stone is None, to)


def _recorded(fleet: Fleet, instance: str) -> tuple[int, str]:
    """Return the generation of the last move that arrived, and where, by this machine's record of it.

    manager/ops/move/journal.py writes it. A damaged one tells nothing; `manager move` says so.
    """
    last = _last_move(fleet, instance)
    return (last.generation, last.target) if last.step in HAS_ARRIVED else (0, "")


class _LastMove(NamedTuple):
    """Hold how far the last move that was begun here has come, to which generation, and where to."""

    step: str = ""
    generation: int = 0
    target: str = ""
    url: str = ""


def _last_move(fleet: Fleet, instance: str) -> _LastMove:
    path = fleet.moves_dir / f"{instance}.json"
    with suppress(OSError, strict_json.JsonFault, AttributeError, KeyError, TypeError, ValueError):
        content: Any = strict_json.parse_bytes(strict_json.read_bytes(path, MOST_BYTES))
        return _LastMove(
            str(content["step"]),
            int(content["generation"]),
            str(content["target"]),
            str(content.get("url") or ""),  # the first version to move wrote none
        )
    return _LastMove()


def gone(fleet: Fleet, views: Iterable[Instance]) -> dict[str, Gone]:
    """Return the live instances that have arrived on another machine. A move that was not finished is told
    by `manager move`.
    """
    return {
        view.id: _where_to(fleet, view.id) for view in views if view.mode == "live" and _is_gone(fleet, view)
    }


def _where_to(fleet: Fleet, instance: str) -> Gone:
    """Return where it went; the address is in this machine's record of a move that was begun here."""
    mine, last = held(fleet, instance), _last_move(fleet, instance)
    is_of_it = last.generation == mine.newest and last.target == mine.to
    return Gone(mine.newest, mine.to, last.url if is_of_it else "")


def _is_gone(fleet: Fleet, view: Instance) -> bool:
    if view.tombstone is None or view.tombstone.is_arriving:
        return False
    last = _last_move(fleet, view.id)
    return not last.step or last.step in HAS_ARRIVED or last.generation != view.tombstone.generation


def known(fleet: Fleet) -> dict[str, GenerationRecord]:
    """Return what this machine knows of every instance that has ever been moved."""
    return {instance: held(fleet, instance) for instance in sorted(_moved(fleet))}


def read(content: Any) -> dict[str, GenerationRecord]:
    """Return what another machine told. Raises ValueError."""
    try:
        return {
            str(instance): GenerationRecord(
                int(values["newest"]),
                int(values["number"]),
                str(values["move"]),
                values["is_here"] is True,
                str(values["to"]),
            )
            for instance, values in content.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def is_copy(mine: GenerationRecord, theirs: GenerationRecord) -> bool:
    """Return whether both have the instance by one and the same move: the disk of one was copied."""
    return mine.is_here and theirs.is_here and mine.number > 0 and mine[1:3] == theirs[1:3]


def twins(
    machines: Mapping[str, tuple[Mapping[str, GenerationRecord], Mapping[str, bool]]],
) -> Iterator[Twin]:
    """Yield the live bots of older copies. Machine → what it knows, and which instances are live: up or not.

    Pure. Of two equal copies the second is named.
    """
    names = list(machines)
    for index, name in enumerate(names):
        known, live = machines[name]
        for instance, is_up in sorted(live.items()):
            mine = known.get(instance, NEVER_MOVED)
            for place, other in enumerate(names):
                theirs = machines[other][0].get(instance, NEVER_MOVED)
                is_second = place < index and instance in machines[other][1] and is_copy(mine, theirs)
                if other != name and (theirs.newest > mine.number or is_second):
                    yield Twin(instance, name, mine.number, other, theirs.newest, is_up)
                    break


def _moved(fleet: Fleet) -> Iterable[str]:
    secrets, moves = fleet.all_secrets_dir, fleet.moves_dir
    moved = {
        path.parent.name
        for name in (tombstone.MARK, tombstone.GENERATION)
        for path in secrets.glob(f"*/{name}")
    }
    moved |= {path.stem for path in moves.glob("*.json")}
    return {instance for instance in moved if ID_PATTERN.fullmatch(instance)}
