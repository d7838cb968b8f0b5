"""Number what changes from look to look, so that a browser that was away gets what it missed. Pure.

One feed for each language, because texts are part of it.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from manager.typed import NamedTuple

KEPT = 200
"""Ten minutes of looks."""
TREND = "trend"
MOST_BYTES = 36_000
"""Of what changes in one event. The trends of a large fleet are all new once a minute; those for which
there is no room come with the next events.
"""
LEAST_TRENDS = 4
"""They come, however much else changes."""
QUIET = frozenset(
    {
        "report_age_s",
        "uptime_s",
        "cpu_percent",
        "memory_bytes",
        "memory_percent",
        "pids",
        "network_received_bytes",
        "network_sent_bytes",
        "disk_read_bytes",
        "disk_written_bytes",
        "folders_bytes",
        "folders_files",
        "folders_growth_bytes",
    }
)
"""Keys that change with every look and that the page does not show."""

Object = Mapping[str, Any]


class Event(NamedTuple):
    """Hold one event. `name`: look, or reset where it is unknown what a reader has missed."""

    id: str
    name: str
    data: Object


class Feed:
    """Hold the last events, and the state after the last one. For one writer and many readers."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._boot = secrets.token_hex(4)
        self._count = 0
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._fleet: Object = {}
        self._instances: dict[str, Object] = {}
        self._late: dict[str, None] = {}
        """Instances whose trends are to be told, the longest due first."""

    @property
    def last_id(self) -> str:
        """Return the id of the last event."""
        return f"{self._boot}-{self._count}"

    def put(self, fleet: Object, instances: Sequence[Object]) -> None:
        """Add the look as the event of what it changes."""
        now = {str(instance["id"]): instance for instance in instances}
        with self._lock:
            data = {
                "fleet": fleet,
                "changed": self._all_changes(now),
                "removed": [key for key in self._instances if key not in now],
            }
            self._fleet, self._instances = fleet, now
            self._count += 1
            self._events.append(Event(self.last_id, "look", data))
            self._lock.notify_all()

    def _all_changes(self, now: Mapping[str, Object]) -> dict[str, dict[str, Any]]:
        """Return what has changed of each instance; of the trends only some, the others with later events."""
        changed = {key: changes for key, instance in now.items() if (changes := self._changes(key, instance))}
        for key, changes in changed.items():
            if key in self._instances and changes.pop(TREND, None) is not None:
                self._late.setdefault(key)
        self._late = {key: None for key in self._late if key in now}
        size = len(json.dumps(changed)) if self._late else 0
        for number, key in enumerate(list(self._late)):
            size += len(json.dumps(now[key][TREND]))
            if size > MOST_BYTES and number >= LEAST_TRENDS:
                break
            changed.setdefault(key, {})[TREND] = now[key][TREND]
            del self._late[key]
        return {key: changes for key, changes in changed.items() if changes}

    def _changes(self, key: str, after: Object) -> dict[str, Any]:
        before = self._instances.get(key)
        if before is None:
            return dict(after)
        if before is after:  # kept: only what is measured was written anew, and that is quiet
            return {}
        return {
            name: value for name, value in after.items() if name not in QUIET and before.get(name) != value
        }

    def state(self) -> tuple[Object, list[Object], str]:
        """Return fleet and instances, and the event that they are of."""
        with self._lock:
            return self._fleet, list(self._instances.values()), self.last_id

    def after(self, last_id: str) -> list[Event]:
        """Return the events behind that one; one reset if some of them are no longer kept."""
        boot, _dash, number = last_id.partition("-")
        with self._lock:
            if boot != self._boot or not number.isdecimal() or not number.isascii():
                return [Event(self.last_id, "reset", {})]
            missed = self._count - int(number[:15])
            if missed < 0 or missed > len(self._events):
                return [Event(self.last_id, "reset", {})]
            return list(self._events)[len(self._events) - missed :]

    def wait(self, last_id: str, within: float) -> None:
        """Wait until there is an event behind that one, for so many seconds at most."""
        with self._lock:
            self._lock.wait_for(lambda: self.last_id != last_id, within)
