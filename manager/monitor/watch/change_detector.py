"""Detect possible changes: the engine's events, supervisors' state files, the lock, the data folder's disk.

State files are checked by `stat` once a second: 200 of them take half a millisecond, less than an inotify
library would save, and it works on every file system.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.engine import labels
from manager.engine.http_socket import NoAnswer
from manager.fleet import bot_report, supervisor_state
from manager.fleet.supervisor_state import SupervisorState
from manager.monitor.watch.engine_recovery import ENDING_EVENTS
from manager.monitor.watch.machine_rules import Disk

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.engine.client import Engine
    from manager.engine.streams import EventStream

Stamp = tuple[int, int, int]
IDLE_EVERY_S = 5.0
"""Interval of looking for the state file of an instance without a container: another engine may have one."""


class StateFiles:
    """Hold the supervisors' states as last read, each with its file's stamp."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp | None, SupervisorState | None, bool]] = {}
        self._doing: dict[str, str | None] = {}
        """The codes of the conditions that the bots have reported last."""
        self._look_for_all_at = 0.0
        self._folders: Mapping[str, Path] = {}
        self._paths: Mapping[str, str] = {}

    def have_changed(
        self, folders: Mapping[str, Path], uptime: float, idle: Collection[str] = frozenset()
    ) -> bool:
        """Return whether any supervisor's state or its bot's condition has changed, or it fell silent, since
        the last call.

        Each writes its files at every probe; an update of time and figures only is no change. `idle`:
        instances without a container, whose files are not there, and are looked for less often.
        """
        is_time = time.monotonic() >= self._look_for_all_at
        if is_time:
            self._look_for_all_at = time.monotonic() + IDLE_EVERY_S
        changed = False
        if folders != self._folders:
            self._folders = dict(folders)
            self._paths = {key: f"{folder}/{supervisor_state.STATE_FILE}" for key, folder in folders.items()}
        for instance, path in self._paths.items():
            before = self._known.get(instance)
            if before is not None and before[0] is None and instance in idle and not is_time:
                continue
            stamp = _stamp(path)
            if before is None or before[0] != stamp:
                supervisor = supervisor_state.read(folders[instance])
                is_new = before is None or gist(before[1]) != gist(supervisor)
            else:
                supervisor, is_new = before[1], False
            is_stale = supervisor is not None and supervisor.is_stale(uptime)
            changed |= is_new or (before is not None and before[2] != is_stale)
            self._known[instance] = (stamp, supervisor, is_stale)
            doing = _reported(folders[instance])
            changed |= doing != self._doing.get(instance)
            self._doing[instance] = doing
        for instance in self._known.keys() - folders.keys():
            del self._known[instance]
            self._doing.pop(instance, None)
        return changed

    def latest(self) -> Mapping[str, SupervisorState | None]:
        """Return the states as last read."""
        return {instance: known[1] for instance, known in self._known.items()}


def _reported(folder: Path) -> str | None:
    """Return the code of the condition in the bot's last report: no state of the supervisor's tells of a stop
    loss that is reached while its position is not closed yet.
    """
    kept_report = bot_report.read_kept(folder)
    condition = None if kept_report is None else kept_report.report.condition
    return None if condition is None else condition.code


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def gist(supervisor: SupervisorState | None) -> SupervisorState | None:
    """Return a state without what is written anew at every probe."""
    return supervisor and supervisor._replace(
        updated_at=0, updated_uptime=0, health_detail=None, health_reason=None, health_checked_at=None
    )


class Events:
    """Read the engine's event stream of one fleet. Events are hints: list the containers after them."""

    def __init__(self, engine: Engine, fleet: Fleet) -> None:
        """Open the stream. Raises EngineUnreachable."""
        self._stream: EventStream = engine.events(labels.fleet_filter(fleet.name))
        self.being_stopped: set[str] = set()
        """Ids of the containers that are being stopped, and were not started since."""
        self.updated: set[str] = set()
        """Ids of the containers whose limits or restart policy were changed since the last look."""

    @property
    def stream(self) -> EventStream:
        """Return the stream for `select`."""
        return self._stream

    def read(self) -> bool:
        """Return whether anything happened. Raises http_socket.NoAnswer if the engine is gone."""
        events: list[Any] = self._stream.values()
        for event in events:
            container = str((event.get("Actor") or {}).get("ID", ""))
            action = str(event.get("Action", ""))
            if action in ENDING_EVENTS:
                self.being_stopped.add(container)
            elif action in {"start", "unpause"}:
                self.being_stopped.discard(container)
            elif action == "update":
                self.updated.add(container)
        return bool(events)

    def last_words(self) -> set[str]:
        """Return `being_stopped` after all events that the engine sent before it went away."""
        with suppress(NoAnswer):
            while self.read():
                pass
        return self.being_stopped

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


def disk(path: Path) -> Disk | None:
    """Return the file system of a folder; None if it cannot be read."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        str(path),
        status.f_bavail * status.f_frsize,
        status.f_blocks * status.f_frsize,
        status.f_favail,
        status.f_files,
    )
