"""Write `secrets/ID/requests.json`: a bot's share of its exchange's requests, and its turn to start.

docker/README.md has the format. The folder is read-only in the container, so that no bot can hold others up.
A file that cannot be written leaves a bot with its former share: no start fails for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock

from manager.config import request_limits
from manager.config.fleet import Fleet
from manager.fleet.observe import FleetSnapshot
from manager.ops.folders import bot_files
from manager.ops.requests import request_budget
from manager.ops.requests.request_budget import Allotment
from manager.typed import Any
from manager.util import strict_json

FILE = "requests.json"
MAX_BYTES = 4096
MOST_BANNED_S = 86400.0
"""No ban is announced for longer, so that a wrong answer does not hold bots up for ever."""
SAME = 0.01
"""A share that differs by less is not written again."""


class RequestFiles:
    """Write the files of the bots that will run, and give each that starts its turn. Thread-safe."""

    def __init__(
        self, fleet: Fleet, allotments: Mapping[str, Allotment], clock: Callable[[], float] = time.time
    ) -> None:
        self._fleet, self._allotments, self._clock, self._lock = fleet, allotments, clock, Lock()
        self._starts: dict[object, int] = {}
        self._began: dict[object, float] = {}

    def write_all(self, excepted: Collection[str]) -> None:
        """Write the files of all that run on; those that start get theirs with their turn."""
        for instance, allotment in self._allotments.items():
            if instance not in excepted:
                write(self._fleet, instance, allotment, self._clock())

    def give_turn(self, instance: str) -> None:
        """Write the file of a bot whose container is started in the next moment."""
        allotment = self._allotments.get(instance)
        if allotment is None:
            remove(self._fleet, instance)
            return
        with self._lock:
            now = due = self._clock()
            for key, a_minute in allotment.limits:
                before = self._starts.get(key, 0)
                self._starts[key] = before + 1
                due = max(due, self._began.setdefault(key, now) + request_budget.turn(before, a_minute))
        write(self._fleet, instance, allotment, now, due)


def of_plan(snapshot: FleetSnapshot, running: Collection[str]) -> RequestFiles:
    """Return the files for these instances to run together."""
    table = request_limits.load(snapshot.project.fleet)
    asking = request_budget.callers(snapshot, table)
    together = [caller for instance, caller in asking.items() if instance in running]
    return RequestFiles(snapshot.project.fleet, request_budget.allot(together, table))


def write(
    fleet: Fleet,
    instance: str,
    allotment: Allotment,
    now: float,
    turn: float | None = None,
    banned_until: float | None = None,
) -> None:
    """Write one bot's file, if it differs. `turn`: when its start is due. Raises nothing.

    `banned_until`: None leaves what is announced; 0 takes it back.
    """
    path = fleet.secrets_dir(instance) / FILE
    before = _read(path)
    announced = before.get("banned_until") if banned_until is None else banned_until
    content: dict[str, Any] = {
        "schema": 1,
        "a_minute": round(allotment.share.a_minute, 3),
        "for_cancels": round(allotment.share.for_cancels, 3),
        "tick": allotment.tick,
        "weights": dict(allotment.weights),
        "phase": round(allotment.phase, 1),
    }
    if allotment.share.orders:
        content["orders"] = round(allotment.share.orders, 3)
    if isinstance(announced, int | float) and now < announced:
        content["banned_until"] = round(min(announced, now + MOST_BANNED_S), 1)
    if turn is not None:
        content |= {"turn_given": round(now, 3), "turn": round(turn, 3)}
    elif _is_same(before, content):
        return
    bot_files.replace(path, content)


def announce_ban(fleet: Fleet, instance: str, until: float, now: float) -> None:
    """Write into a bot's file until when its address is banned, or take that back. Raises nothing."""
    path = fleet.secrets_dir(instance) / FILE
    before = _read(path)
    content = {key: value for key, value in before.items() if key != "banned_until"}
    if now < until:
        content["banned_until"] = round(min(until, now + MOST_BANNED_S), 1)
    if content != before:
        bot_files.replace(path, content)


def remove(fleet: Fleet, instance: str) -> None:
    """Remove the file of a bot whose exchange has no limit. Raises nothing."""
    bot_files.remove(fleet.secrets_dir(instance) / FILE)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(strict_json.read_bytes(path, MAX_BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_same(before: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    """Return whether the file need not be written: only a turn, or a hair of the share, would change."""
    old = {key: value for key, value in before.items() if key not in {"turn", "turn_given"}}
    if old.keys() != content.keys():
        return False
    return all(_is_close(old[key], value) for key, value in content.items())


def _is_close(old: object, new: object) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float) and new < 1e6:
        return abs(old - new) <= abs(new) * SAME
    return old == new
