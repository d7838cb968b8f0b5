"""Remember what each host showed last, in state/hosts/NAME.json, for when it does not answer."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.util import atomic_file, ownership, strict_json

MAX_BYTES = 16_000_000


class HostRows(NamedTuple):
    """Hold the rows of `ps --json` of a host, and when they were read (seconds since the epoch)."""

    at: float
    rows: list[dict[str, Any]]


def save(fleet: Fleet, host: str, rows: list[dict[str, Any]]) -> None:
    """Save them. A full disk only loses the memory."""
    path = _file(fleet, host)
    with suppress(OSError):
        ownership.make_folder(path.parent)
        atomic_file.write_atomically(path, {"at": time.time(), "rows": rows})
        ownership.give_to_folder_owner(path)


def load(fleet: Fleet, host: str) -> HostRows | None:
    """Return them; None if the host was never seen, or the file is damaged."""
    try:
        content: Any = strict_json.read(_file(fleet, host), MAX_BYTES)
        return HostRows(float(content["at"]), [dict(row) for row in content["rows"]])
    except (strict_json.JsonFault, OSError, TypeError, KeyError, ValueError):
        return None


def _file(fleet: Fleet, host: str) -> Path:
    return fleet.state_dir / "hosts" / f"{host}.json"
