"""Say why an instance is not moved, by what both machines have answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manager.fleet.tombstone import UNKNOWN, Tombstone
from manager.i18n import Text
from manager.ops.backup import databases
from manager.ops.move.bound import Move
from manager.util import formatting

COPIES = 4
"""As the backup, its rehearsal, its restore, and what the archive itself needs."""
INODES = 64
"""Its database with what SQLite and a bot keep beside it, its marks, and the copies while they are made."""


def why_not(
    move: Move, here: Mapping[str, Any], there: Mapping[str, Any], stone: Tombstone | None
) -> Text | None:
    """Return why it cannot be moved; None if it can."""
    if here.get("own") and here["own"] == there.get("own"):
        return Text(
            "{source} and {target} are one project folder of one machine",
            source=move.source.name,
            target=move.target.name,
        )
    if stone is not None:
        return stone.why
    return (
        _why_not_from(move.source.name, here)
        or _what_cannot_be_read(move, here, there)
        or _what_is_there(move, here, there)
        or _what_it_lacks(move.target.name, there)
        or _what_it_would_share(move.target.name, here, there)
        or _too_little_room(move.target.name, here, there)
    )


def _why_not_from(source: str, here: Mapping[str, Any]) -> Text | None:
    """Return what keeps it where it is."""
    if here["problems"]:
        return Text("{host}: {why}", host=source, why=here["problems"][0])
    if here["pinned"]:
        return Text(
            "{file}: host: pins it to {pin}; take that out first", file=here["config"], pin=here["pinned"]
        )
    if not here["is_known"]:
        return Text("{host} has no valid config of it", host=source)
    if here["lacks"]:
        return Text("{host}: {why}", host=source, why=here["lacks"])
    needed = here.get("databases", 0) + databases.DISK_MARGIN  # else its backup fails, after it was halted
    if here.get("free") is not None and here["free"] < needed:
        return _no_room(source, here["free"], needed)
    return None


def _what_cannot_be_read(move: Move, here: Mapping[str, Any], there: Mapping[str, Any]) -> Text | None:
    """Return whose generation cannot be read: by a move an older copy would become the newest one."""
    if here["here"] == UNKNOWN:
        return Text(
            "its generation on {host}, volumes/secrets/{id}/generation, cannot be read, so that it may be an"
            " older copy; if it trades nowhere else, replace that file by volumes/secrets/{id}/moved of the"
            " machine that it came from, or remove it where no machine has that one",
            host=move.source.name,
            id=move.instance,
        )
    if there["newest"] == UNKNOWN:
        return Text(
            "what {host} knows of it cannot be read (generation or moved in volumes/secrets/{id}); if it"
            " trades on {source} alone, remove what is damaged there",
            host=move.target.name,
            source=move.source.name,
            id=move.instance,
        )
    return None


def _what_is_there(move: Move, here: Mapping[str, Any], there: Mapping[str, Any]) -> Text | None:
    """Return which instance or newer copy of it the target has in its place."""
    target = move.target.name
    if other := there["config_of"]:
        return Text(
            "{file} belongs to another instance on {host} ({other}); rename one of the two files first",
            file=here["config"],
            host=target,
            other=other,
        )
    if there["is_up"]:
        return Text("it runs on {host}", host=target)
    if there["newest"] > here["here"]:
        return Text(
            "{host} knows of generation {there}, and {source} has generation {here}, which is older",
            host=target,
            source=move.source.name,
            there=there["newest"],
            here=here["here"],
        )
    is_of_now = there["here"] > 0 and there["here"] >= here["here"]  # an older number alone is a leftover
    if there["stone"] is not None or not (there["is_known"] or there["bytes"] or is_of_now):
        return None
    if there["here"] < here["here"]:
        return Text(
            "{host} has an instance of this id of its own, or an older copy of it (generation {number});"
            " run `manager down {id}` there, and move its config and its database away",
            host=target,
            number=there["here"],
            id=move.instance,
        )
    return Text(
        "{host} has an instance of this id of its own (generation {number})",
        host=target,
        number=there["here"],
    )


def _what_it_lacks(target: str, there: Mapping[str, Any]) -> Text | None:
    """Return what nothing starts for on the target."""
    if blocking := there.get("blocking"):  # an earlier manager does not tell
        return Text("nothing starts on {host}: {problem}", host=target, problem=blocking[0])
    if not there["has_image"]:
        return Text("{host} has no image of the bot yet; run `manager build` there", host=target)
    if there["unlike"]:
        return Text(
            "{names} in .env of {host} has another value than here",
            names=", ".join(there["unlike"]),
            host=target,
        )
    return None


def _what_it_would_share(target: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> Text | None:
    """Return which instance of the target has its account and symbol, or its port."""
    if other := there.get("account_of"):
        return Text("{other} on {host} trades on its account and symbol", other=other, host=target)
    if other := there["ports"].get(str(here["port"])):
        return Text("port {port} belongs to {other} on {host}", port=here["port"], other=other, host=target)
    return None


def _too_little_room(target: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> Text | None:
    """Return what the target's disk does not have for its files, and for their copies meanwhile."""
    needed = COPIES * here["bytes"] + databases.DISK_MARGIN
    if there["free"] is not None and there["free"] < needed:
        return _no_room(target, there["free"], needed)
    if (inodes := there.get("inodes")) is not None and inodes < INODES:
        return Text(
            "the disk of {host} has {inodes} inodes left, and the move needs {needed}: remove files there",
            host=target,
            inodes=inodes,
            needed=INODES,
        )
    return None


def _no_room(host: str, free: int, needed: int) -> Text:
    return Text(
        "{host} has {free} of disk space, and the move needs {needed}",
        host=host,
        free=formatting.file_size(free),
        needed=formatting.file_size(needed),
    )
