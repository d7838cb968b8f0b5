"""Notices that something may have changed: the engine's events, the supervisors' state files, the lock, the data folder's disk.

State files are looked at by `stat` once a second: 200 of them cost half a millisecond, which is less than an inotify library would
save, and it works on every file system that a data folder may lie on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.engine import labels
from manager.engine.http_socket import NoAnswer
from manager.fleet import supervisor_state
from manager.fleet.supervisor_state import SupervisorState
from manager.monitor.watch.alert_rules import Disk
from manager.monitor.watch.engine_recovery import ENDING_EVENTS

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.engine.client import Engine
    from manager.engine.streams import EventStream

Stamp = tuple[int, int, int]


class StateFiles:
    """The supervisors' words as last read, each with its file's stamp."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp | None, SupervisorState | None, bool]] = {}

    def have_changed(self, folders: Mapping[str, Path], uptime: float) -> bool:
        """Whether any supervisor says something new, or has fallen silent, since the last call.

        Each writes its file at every probe; what only says that it lives is nothing new.
        """
        changed = False
        for instance, folder in folders.items():
            stamp = _stamp(folder / supervisor_state.STATE_FILE)
            before = self._known.get(instance)
            if before is None or before[0] != stamp:
                said = supervisor_state.read(folder)
                is_new = before is None or _gist(before[1]) != _gist(said)
            else:
                said, is_new = before[1], False
            is_stale = said is not None and said.is_stale(uptime)
            changed |= is_new or (before is not None and before[2] != is_stale)
            self._known[instance] = (stamp, said, is_stale)
        for instance in self._known.keys() - folders.keys():
            del self._known[instance]
        return changed


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _gist(said: SupervisorState | None) -> SupervisorState | None:
    return said and said._replace(updated_at=0, updated_uptime=0, health_detail=None, health_checked_at=None)


class Events:
    """The engine's event stream of one fleet. Hints only: whoever reads them lists again."""

    def __init__(self, engine: Engine, fleet: Fleet) -> None:
        """Raises EngineUnreachable."""
        self._stream: EventStream = engine.events(labels.fleet_filter(fleet.name))
        self.being_stopped: set[str] = set()
        """Ids of the containers that somebody has begun to stop, and nobody has started since."""

    @property
    def stream(self) -> EventStream:
        """For `select`."""
        return self._stream

    def read(self) -> bool:
        """Whether anything happened. Raises http_socket.NoAnswer when the engine is gone."""
        found: list[Any] = self._stream.values()
        for event in found:
            container = str((event.get("Actor") or {}).get("ID", ""))
            action = str(event.get("Action", ""))
            if action in ENDING_EVENTS:
                self.being_stopped.add(container)
            elif action in {"start", "unpause"}:
                self.being_stopped.discard(container)
        return bool(found)

    def last_words(self) -> set[str]:
        """What `being_stopped` is after everything that the engine has still said before it went."""
        with suppress(NoAnswer):
            while self.read():
                pass
        return self.being_stopped

    def close(self) -> None:
        """Gives the connection back."""
        self._stream.close()


def disk(path: Path) -> Disk | None:
    """The file system that a folder lies on; None when it cannot be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        str(path), found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files
    )  # fmt: skip
