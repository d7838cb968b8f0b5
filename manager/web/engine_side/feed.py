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
"""Of one event. When a large fleet is started, each bot's first report is news of all its figures, and its
trends are all new once a minute: those for which there is no room come with the next events.
"""
LEAST = 4
"""So many instances come, and so many trends, however much else changes."""
QUIET = frozenset(
    {
        "report_age_s",
        "price_at",
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
        self._given: Sequence[Object] | None = None
        """The list that these are of."""
        self._due: dict[str, frozenset[str]] = {}
        """Instance → the keys of what is yet to be told of it; the longest due first."""

    @property
    def last_id(self) -> str:
        """Return the id of the last event."""
        return f"{self._boot}-{self._count}"

    def put(self, fleet: Object, instances: Sequence[Object]) -> None:
        """Add the look as the event of what it changes."""
        with self._lock:
            is_same = instances is self._given and bool(self._count)
            now = self._instances if is_same else {str(instance["id"]): instance for instance in instances}
            self._given = instances
            data = {
                "fleet": fleet,
                "changed": self._all_changes(now, MOST_BYTES - len(json.dumps(fleet))),
                "removed": [key for key in self._instances if key not in now],
            }
            self._fleet, self._instances = fleet, now
            self._count += 1
            self._events.append(Event(self.last_id, "look", data))
            self._lock.notify_all()

    def _all_changes(self, now: Mapping[str, Object], room: int) -> dict[str, dict[str, Any]]:
        """Return what has changed of each instance, as far as there is room; the rest comes with later looks.

        Who needs a person comes first, then who has waited longest, and trends last. What waits is known by
        its keys: a reader who has come meanwhile has values that were never told.
        """
        if not self._count:  # nobody has read anything yet
            return {}
        due = {key: keys for key, keys in self._due.items() if key in now}
        before = self._instances  # of one that is kept, only what is measured is written anew, which is quiet
        for instance_id, instance in now.items() if now is not before else ():
            if instance is not before.get(instance_id) and (new := self._changes(instance_id, instance)):
                due[instance_id] = due.get(instance_id, frozenset()) | new
        changed: dict[str, dict[str, Any]] = {}
        trends, left, size = [], {}, 0
        for instance_id in sorted(due, key=lambda key: not now[key].get("needs_person")):
            keys = due[instance_id] if "id" in due[instance_id] else due[instance_id] - {TREND}
            changes = {key: value for key, value in now[instance_id].items() if key in keys}
            size += len(json.dumps(changes)) if changes else 0
            if size > room and len(changed) >= LEAST:
                left[instance_id] = due[instance_id]
                continue
            if changes:
                changed[instance_id] = changes
            if TREND in due[instance_id] - keys:
                trends.append(instance_id)
        for number, instance_id in enumerate(trends):
            size += len(json.dumps(now[instance_id][TREND]))
            if size > room and number >= LEAST:
                left |= dict.fromkeys(trends[number:], frozenset({TREND}))
                break
            changed.setdefault(instance_id, {})[TREND] = now[instance_id][TREND]
        self._due = {instance_id: left[instance_id] for instance_id in due if instance_id in left}
        return changed

    def _changes(self, instance_id: str, after: Object) -> frozenset[str]:
        """Return the keys of what is another than in the look before; all of a new instance."""
        before = self._instances.get(instance_id)
        if before is None:
            return frozenset(after)
        if [*before] != [*after]:
            return frozenset(key for key, value in after.items() if before.get(key) != value) - QUIET
        pairs = zip(after, after.values(), before.values(), strict=True)
        return frozenset([key for key, new, old in pairs if new is not old and new != old]) - QUIET

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
