"""Update the export after a change, and when it is found to be stale."""

from __future__ import annotations

from collections.abc import Callable

from manager.errors import ManagerError
from manager.fleet import instances_json, lock
from manager.fleet.instances_json import Pids
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session

Warn = Callable[[object], object]
"""Receives why the export could not be written: no command fails because of it."""


def write(snapshot: FleetSnapshot, warn: Warn) -> None:
    """Write instances.json and the pid files. Errors become warnings."""
    try:
        if remark := instances_json.write(snapshot, instances_json.find_pids(snapshot)):
            warn(remark)
    except ManagerError as error:
        warn(error)


def refresh(session: Session, snapshot: FleetSnapshot, pids: Pids, warn: Warn) -> None:
    """Update a stale export, unless another process is changing the fleet. Never waits, never fails."""
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
