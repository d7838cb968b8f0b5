"""Read the last exits of a bot, which its supervisor keeps in `exits.json` (docker/README.md).

A bot can write into the same folder: what is no exit is left out, and no more are read than a supervisor
keeps.
"""

from __future__ import annotations

import json
from pathlib import Path

from manager.fleet.bot_report import moment
from manager.typed import Any, NamedTuple
from manager.util import strict_json
from manager.util.kept_content import KeptContent
from manager.util.sanitize import replace_unprintable

FILE = "exits.json"
MAX_BYTES = 1 << 16
MOST = 50
MAX_TEXT = 1000


class Exit(NamedTuple):
    """Hold the end of one run. `began`: when that bot was started; None if it could not be, or is not known.

    `why`: the supervisor's English sentence; `reason`: its code with parameters.
    """

    at: float
    why: str
    reason: object = None
    began: float | None = None


class Kept(NamedTuple):
    """Hold the exits, oldest first, and when the present bot was started; None if none runs."""

    exits: tuple[Exit, ...] = ()
    running_since: float | None = None


def read(state_dir: Path) -> Kept:
    """Return what is kept; nothing of an earlier version's supervisor."""
    try:
        return _kept.of(f"{state_dir}/{FILE}")
    except (OSError, ValueError, RecursionError):
        return Kept()


def _read(path: str) -> Kept:
    raw = strict_json.read_bytes(path, MAX_BYTES, follow=False)
    content = json.loads(raw) if len(raw) <= MAX_BYTES else None
    if not isinstance(content, dict):
        return Kept()
    entries = content.get("exits")
    exits = map(_exit, entries[-MOST:] if isinstance(entries, list) else ())
    by_end = {exit_.at: exit_ for exit_ in exits if exit_ is not None}
    return Kept(tuple(by_end[at] for at in sorted(by_end)), moment(content.get("running_since")))


def _exit(raw: Any) -> Exit | None:
    if not isinstance(raw, dict):
        return None
    at, why = moment(raw.get("at")), raw.get("why")
    if at is None or not isinstance(why, str):
        return None
    return Exit(at, replace_unprintable(why[:MAX_TEXT]), raw.get("reason"), moment(raw.get("began")))


_kept = KeptContent(_read)
