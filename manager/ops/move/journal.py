"""Remember, on the machine that moves, which step of a move comes next: state/moves/ID.json.

It is written before each step, so that it says what may have been begun. It stays when the move is done: it
is this machine's record of where the instance is, and of its generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from manager.config.fleet import Fleet
from manager.errors import ManagerError, writing_to
from manager.i18n import Text
from manager.ops.hosts.registry import HERE
from manager.ops.move import staging
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import unlink_in_trusted

Step = Literal["halt", "bury", "pack", "copy", "put", "keys", "arrive", "start", "clean"]
MAX_BYTES = 10_000
ORDER: tuple[Step, ...] = get_args(Step)
MEANING: Mapping[Step, Text] = {
    "halt": Text("halt it, and see that no order is left at the exchange"),
    "bury": Text("write the tombstone, after which nothing starts it there"),
    "pack": Text("back up its data"),
    "copy": Text("copy the backup"),
    "keys": Text("write the variables that its config names, where they are missing"),
    "put": Text("restore the backup, and compare every table's rows"),
    "arrive": Text("assign it to the other machine"),
    "start": Text("start it there, if it ran"),
    "clean": Text("remove the copies of the backup"),
}


class Journal(NamedTuple):
    """Hold one move. `source`, `target`: the machines, as this one calls them. `step`: what is done next.

    `url`, `machine`: of the other one, which must not be a third one of the same name later. `before_here`,
    `before_there`: what was ordered on the source and on the target before. `is_found`: the first journal was
    lost, and how far that had come is not known.
    """

    move: str
    source: str
    target: str
    generation: int
    did_run: bool
    step: Step
    is_done: bool = False
    url: str = ""
    machine: str = ""
    port: int | None = None
    before_here: Mapping[str, Any] = MappingProxyType({})
    before_there: Mapping[str, Any] = MappingProxyType({})
    is_found: bool = False

    def has_reached(self, step: Step) -> bool:
        """Return whether the step was done, or may have been begun."""
        return ORDER.index(self.step) >= ORDER.index(step)


def load(fleet: Fleet, instance: str) -> Journal | None:
    """Return the last move of an instance; None if there was none. Raises ManagerError for a damaged file."""
    path = _file(fleet, instance)
    try:
        content: Any = strict_json.parse_bytes(strict_json.read_bytes(path, MAX_BYTES))
        known = {name: content[name] for name in Journal._fields if name in content}
        journal = Journal(**known)
        ORDER.index(journal.step)
    except FileNotFoundError:
        return None
    except (OSError, strict_json.JsonFault, TypeError, KeyError, ValueError) as error:
        raise ManagerError("cannot read {path}: {why}", path=path, why=error) from error
    return journal


def unfinished(fleet: Fleet, host: str) -> dict[str, Journal]:
    """Return the moves from or to this host that are not finished, by instance.

    A damaged file tells nothing; `manager move` says so.
    """
    journals = {}
    for instance in instances(fleet):
        with suppress(ManagerError):
            journal = load(fleet, instance)
            if journal is not None and not journal.is_done and host in (journal.source, journal.target):
                journals[instance] = journal
    return journals


def instances(fleet: Fleet) -> list[str]:
    """Return the instances of which this machine has a journal."""
    return sorted(path.stem for path in fleet.moves_dir.glob("*.json"))


def words(instance: str, source: str, target: str) -> str:
    """Return the command line that moves it, or goes on with that."""
    if target == HERE:
        return f"manager move {instance} --from {source}"
    return f"manager move {instance} {target}"


def save(fleet: Fleet, instance: str, journal: Journal) -> None:
    """Write it down. Raises ManagerError."""
    path = _file(fleet, instance)
    with writing_to(path):
        ownership.make_folder(path.parent, staging.FOLDER_MODE)
        content = {
            **journal._asdict(),
            "before_here": dict(journal.before_here),
            "before_there": dict(journal.before_there),
        }
        atomic_file.write_atomically(path, content, 0o600, ownership.inherited_owner(path))


def remove(fleet: Fleet, instance: str) -> None:
    """Forget a move that was called off. Raises ManagerError."""
    path = _file(fleet, instance)
    with writing_to(path):
        unlink_in_trusted(path)


def _file(fleet: Fleet, instance: str) -> Path:
    return staging.folder(fleet, instance).with_name(f"{instance}.json")
