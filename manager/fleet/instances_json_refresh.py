"""Keeps the export true: after a change, and after a look that found it stale."""

from __future__ import annotations

from collections.abc import Callable

from manager.errors import ManagerError
from manager.fleet import instances_json, lock
from manager.fleet.instances_json import Pids
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session

Warn = Callable[[object], object]
"""Told what kept the export from being written: no command fails for it."""


def write(snapshot: FleetSnapshot, warn: Warn) -> None:
    """Write instances.json and the pid files; what keeps them from being written is a warning."""
    try:
        if remark := instances_json.write(snapshot, instances_json.find_pids(snapshot)):
            warn(remark)
    except ManagerError as error:
        warn(error)


def refresh(session: Session, snapshot: FleetSnapshot, pids: Pids, warn: Warn) -> None:
    """Bring a stale export up to date, if nobody is changing the fleet. A reader never waits, and never fails for it."""
    if snapshot.foreign() or not instances_json.is_stale(snapshot, pids):
        return
    with lock.held_if_free(snapshot.project.fleet.lock_file) as is_ours:
        if not is_ours:
            return
        try:
            now = session.observe()  # what was seen without the lock may be history
            now.require_ours()
        except ManagerError as error:
            warn(error)
        else:
            write(now, warn)
