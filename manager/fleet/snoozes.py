"""Read and write `state/snoozed.json`: what a person has seen and leaves as it is until a time.

It concerns what is the case now, and nothing that begins later: another kind of alert, the same one after it
was over, another state of the bot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manager.typed import NamedTuple
from manager.util import atomic_file, strict_json
from manager.util.kept_content import KeptContent

SCHEMA = 1
MAX_BYTES = 1_000_000
LONGEST_S = 30 * 86400.0
SET_BACK_S = 86400.0
"""A clock with a wrong time zone is set back by less. One that was further ahead has told a wrong day."""


class Snooze(NamedTuple):
    """Hold one instance's. Unix times; `alerts`: kind → since when it is open; `state` and `doing` are the
    bot's.
    """

    at: float
    until: float
    state: str
    doing: str
    alerts: Mapping[str, float]

    def lasts(self, now: float) -> bool:
        """Return whether it is not over, also by a clock that was set back since, by up to a day."""
        return not self.is_of_another_day(now) and now < self.until

    def is_of_another_day(self, now: float) -> bool:
        """Return whether the clock was set back too far for its time to mean anything."""
        return now < self.at - SET_BACK_S

    def covers(self, state: str, doing: str, now: float) -> bool:
        """Return whether the bot is as it was when a person left it so."""
        return self.lasts(now) and (self.state, self.doing) == (state, doing)


Snoozes = Mapping[str, Snooze]
"""Instance → what is left."""


def load(path: Path) -> Snoozes:
    """Return all of them; none where the file cannot be used, which only repeats messages."""
    try:
        return _files.of(str(path))
    except (OSError, strict_json.JsonFault, TypeError, ValueError, KeyError, AttributeError):
        return {}


def save(path: Path, snoozes: Snoozes) -> None:
    """Write the file atomically. Raises OSError."""
    members = {
        instance: {**snooze._asdict(), "alerts": dict(snooze.alerts)} for instance, snooze in snoozes.items()
    }
    atomic_file.write_atomically(path, {"schema": SCHEMA, "instances": members})


def _read(path: str) -> Snoozes:
    content: Any = strict_json.read(Path(path), MAX_BYTES)
    if content["schema"] != SCHEMA:
        raise ValueError(content["schema"])
    return {str(instance): _snooze(raw) for instance, raw in content["instances"].items()}


def _snooze(raw: Mapping[str, Any]) -> Snooze:
    at, until = float(raw["at"]), float(raw["until"])
    alerts = {str(kind): float(since) for kind, since in raw["alerts"].items()}
    return Snooze(at, min(until, at + LONGEST_S), str(raw["state"]), str(raw["doing"]), alerts)


_files = KeptContent(_read)
