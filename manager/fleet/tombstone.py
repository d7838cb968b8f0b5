"""Read and write which generation of an instance is here, and the tombstone of one that was moved away.

`secrets/ID/generation` counts the machines that an instance has been moved to; without the file it is 0.
`secrets/ID/moved` is the tombstone: whatever it contains, nothing starts the instance here. docker/README.md
has the formats. The folder is mounted read-only, so that no bot removes it.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import writing_to
from manager.i18n import Text
from manager.typed import Any, NamedTuple
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import unlink_in_trusted

MARK = "moved"
GENERATION = "generation"
MAX_BYTES = 4096
MAX_JOURNAL_BYTES = 10_000
HAS_ARRIVED = ("start", "clean")
"""The steps of a move at which the instance belongs to the other machine."""
MODE = 0o600
UNKNOWN = 2**53
"""The generation in a file that cannot be read: newer than any, so that nothing replaces what is there."""


class Generation(NamedTuple):
    """Hold which generation of an instance is here, and the move that brought it; empty before the first.

    `since`: the first generation that is this machine's: a move that was called off makes a newer one, and
    nothing has traded elsewhere. None: this generation itself.
    """

    number: int = 0
    move: str = ""
    since: int | None = None

    @property
    def first(self) -> int:
        """Return the oldest generation of which a backup is not outdated."""
        return self.number if self.since is None else self.since


class Tombstone(NamedTuple):
    """Hold where an instance went. `generation`: the one that it has there. `move`: identifies the move.

    `is_arriving`: it is being moved to this machine, and is not complete here yet. `did_run`: before the
    move. `is_leaving`: by this machine's own record it has not arrived there; it is in no file and in no
    answer to another machine, whose manager may be an earlier one.
    """

    generation: int
    to: str
    move: str
    at: float = 0.0
    is_arriving: bool = False
    did_run: bool = True
    is_leaving: bool = False

    @property
    def is_unfinished(self) -> bool:
        """Return whether the move has not ended, so that the instance belongs to neither machine."""
        return self.is_leaving or self.is_arriving

    @property
    def why(self) -> Text:
        """Return why nothing starts the instance here."""
        if self.is_arriving:
            return Text(
                "its move to this machine is not finished; run `manager move` again where it was begun"
            )
        if self.is_leaving:
            return Text(
                "its move to {host} is not finished; run that `manager move` again, or call it off by"
                " `manager move ID --back`",
                host=self.to,
            )
        return Text(
            "it was moved to {host} (generation {number}); only another move brings it back",
            host=self.to,
            number="?" if self.generation == UNKNOWN else self.generation,
        )

    @property
    def short(self) -> Text:
        """Return it in the few words of a table."""
        if self.is_leaving:
            return Text("its move to {host} is not finished", host=self.to)
        return Text("arriving") if self.is_arriving else Text("moved to {host}", host=self.to)


def find(fleet: Fleet, instance: str) -> Tombstone | None:
    """Return the instance's tombstone. Anything of this name counts, even if it cannot be read."""
    path = f"{fleet.secrets_path(instance)}/{MARK}"
    try:
        os.lstat(path)
    except OSError:
        return None
    content = _content(Path(path))
    try:
        return Tombstone(
            int(content["generation"]),
            str(content["to"]),
            str(content["nonce"]),
            float(content["at"]),
            content["arriving"] is True,
            content["ran"] is True,
        )
    except (KeyError, TypeError, ValueError):
        return Tombstone(UNKNOWN, "?", "")


def find_with_record(fleet: Fleet, instance: str) -> Tombstone | None:
    """Return the instance's tombstone as people are told of it: it says whether the move has ended."""
    stone = find(fleet, instance)
    return None if stone is None else stone._replace(is_leaving=_is_leaving(fleet, instance, stone))


def find_all(fleet: Fleet, instances: Iterable[str]) -> dict[str, Tombstone]:
    """Return instance → tombstone, for those of the instances that have one."""
    stones = {instance: find_with_record(fleet, instance) for instance in instances}
    return {instance: stone for instance, stone in stones.items() if stone is not None}


def _is_leaving(fleet: Fleet, instance: str, stone: Tombstone) -> bool:
    """Return whether this machine's record of the move says that the instance has not arrived.

    manager/ops/move/journal.py writes it.
    """
    if stone.is_arriving:
        return False
    content = _content(fleet.moves_dir / f"{instance}.json", MAX_JOURNAL_BYTES)
    is_of_it = content.get("move") == stone.move and content.get("source") == "here"
    return is_of_it and content.get("step") not in HAS_ARRIVED


def generation(fleet: Fleet, instance: str) -> Generation:
    """Return which generation of the instance is here."""
    path = fleet.secrets_dir(instance) / GENERATION
    try:
        path.lstat()
    except OSError:
        return Generation()
    content = _content(path)
    try:
        since = content.get("since")
        return Generation(
            int(content["generation"]), str(content["nonce"]), None if since is None else int(since)
        )
    except (KeyError, TypeError, ValueError):
        return Generation(UNKNOWN)


def oldest(fleet: Fleet, instance: str) -> int:
    """Return the oldest generation whose backups this machine may restore."""
    return max(generation(fleet, instance).first, stone.generation if (stone := find(fleet, instance)) else 0)


def newest(fleet: Fleet, instance: str) -> int:
    """Return the newest generation that this machine knows of: the one that is here, or that went away."""
    stone = find(fleet, instance)
    return max(generation(fleet, instance).number, stone.generation if stone else 0)


def bury(fleet: Fleet, instance: str, stone: Tombstone) -> None:
    """Write the tombstone. Raises ManagerError."""
    _write(
        fleet,
        instance,
        MARK,
        {
            "generation": stone.generation,
            "to": stone.to,
            "nonce": stone.move,
            "at": stone.at or round(time.time(), 3),
            "by": "moved",
            "arriving": stone.is_arriving,
            "ran": stone.did_run,
        },
    )


def settle(fleet: Fleet, instance: str, present: Generation) -> None:
    """Write which generation is here from now on, and then remove the tombstone. Raises ManagerError."""
    since = {} if present.first == present.number else {"since": present.first}
    _write(fleet, instance, GENERATION, {"generation": present.number, "nonce": present.move, **since})
    path = fleet.secrets_dir(instance) / MARK
    with writing_to(path):
        unlink_in_trusted(path)
        atomic_file.sync_folder(path.parent)


def _write(fleet: Fleet, instance: str, name: str, value: dict[str, Any]) -> None:
    folder = fleet.secrets_dir(instance)
    with writing_to(folder / name):
        ownership.make_folder(folder, 0o700)
        owner = ownership.inherited_owner(folder / name)
        atomic_file.write_atomically(folder / name, value, MODE, owner)
        atomic_file.sync_folder(folder)


def _content(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    with suppress(OSError, strict_json.JsonFault):
        content = strict_json.parse_bytes(strict_json.read_bytes(path, most, follow=False))
        if isinstance(content, dict):
            return content
    return {}
