"""Remember what each host showed last, in state/hosts/NAME.json, for when it does not answer."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.fleet import display
from manager.i18n import Text, _, bracketed, mark
from manager.typed import NamedTuple
from manager.util import atomic_file, formatting, ownership, strict_json
from manager.util.sanitize import replace_unprintable

MAX_BYTES = 16_000_000
AT_REST = frozenset({"stopped", "missing", "failed", "completed"})
"""States in which no bot trades."""

RAN_THERE = mark("{host} is not known to be halted; {age} ago these ran there, and may trade on: {bots}")
NONE_RAN_THERE = mark("{host} is not known to be halted; {age} ago no bot ran there")


class HostRows(NamedTuple):
    """Hold the rows of `ps --json` of a host, and when they were read (seconds since the epoch)."""

    at: float
    rows: list[dict[str, Any]]


def save(fleet: Fleet, host: str, url: str, rows: list[dict[str, Any]]) -> None:
    """Save them. A full disk only loses the memory."""
    path = _file(fleet, host)
    with suppress(OSError):
        ownership.make_folder(path.parent)
        atomic_file.write_atomically(path, {"at": time.time(), "url": url, "rows": rows})
        ownership.give_to_folder_owner(path)


def load(fleet: Fleet, host: str, url: str) -> HostRows | None:
    """Return them; None if the host was never seen at this address, or the file is damaged."""
    try:
        content: Any = strict_json.read(_file(fleet, host), MAX_BYTES)
        if content.get("url", url) != url:  # the name was another machine's then
            return None
        return HostRows(float(content["at"]), [dict(row) for row in content["rows"]])
    except (strict_json.JsonFault, OSError, AttributeError, TypeError, KeyError, ValueError):
        return None


def not_halted(fleet: Fleet, host: str, url: str, ids: Collection[str] = ()) -> Text | None:
    """Return which bots a host had when it was last seen, where no halt is known: they may trade on.

    `ids`: of these alone; None if none of them ran there.
    """
    seen = load(fleet, host, url)
    running = [row for row in seen.rows if row.get("state") not in AT_REST] if seen else []
    if ids:
        running = [row for row in running if row.get("id") in ids]
    if ids and not running:
        return None
    if seen is None:
        return Text("{host} is not known to be halted; what runs there was never seen", host=host)
    bots = [f"{_word(row, 'id')}{bracketed(_mode(row), _(_word(row, 'state')))}" for row in running]
    return Text(
        RAN_THERE if bots else NONE_RAN_THERE,
        host=host,
        age=formatting.elapsed(time.time() - seen.at),
        bots=", ".join(bots),
    )


def _mode(row: Mapping[str, Any]) -> str:
    return display.mode_text(_word(row, "mode"))


def _word(row: Mapping[str, Any], key: str) -> str:
    return replace_unprintable(str(row.get(key) or "?"))


def _file(fleet: Fleet, host: str) -> Path:
    return fleet.state_dir / "hosts" / f"{host}.json"
