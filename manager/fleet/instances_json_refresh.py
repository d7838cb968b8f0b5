"""Update the export after a change, and when it is found to be stale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType

from manager.errors import ManagerError
from manager.fleet import instances_json, lock
from manager.fleet.instances_json import Pids
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session

Warn = Callable[[object], object]
"""Receives why the export could not be written: no command fails because of it."""

FEW = 10
"""So many are worked on for no longer than it takes to write what is exported of the others."""


def write(
    snapshot: FleetSnapshot,
    warn: Warn,
    pids: Pids | None = None,
    unsettled: Collection[str] = (),
    written: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Write instances.json and the pid files. Errors become warnings."""
    try:
        pids = instances_json.find_pids(snapshot) if pids is None else pids
        if remark := instances_json.write(snapshot, pids, unsettled, written):
            warn(remark)
    except ManagerError as error:
        warn(error)


def ahead(snapshot: FleetSnapshot, touched: Collection[str]) -> Callable[[], Mapping[str, int]]:
    """Begin to write what is exported of the others while few are `touched`: the engine needs a second for
    these. Returns what waits for it, and returns the bots whose pid files are right.
    """
    if not 0 < len(touched) <= FEW:
        return dict
    from manager.util.threads import Deferred

    return Deferred(partial(instances_json.write_ahead, snapshot, touched)).result


def refresh(
    session: Session,
    snapshot: FleetSnapshot,
    pids: Pids,
    warn: Warn,
    *,
    unsettled: Collection[str] | None = None,
) -> None:
    """Update a stale export. Never waits, never fails.

    While another process is changing the fleet, only what it is not at work on: all but the `unsettled`, and
    nothing where that is not known. Its own update at its end is newer, also of a bot that it has started and
    that was not there yet.
    """
    if snapshot.foreign() or not instances_json.is_stale(snapshot, pids):
        return
    with lock.held_if_free(snapshot.project.fleet.lock_file) as is_ours:
        if not is_ours:
            if unsettled is not None:
                write(snapshot, warn, pids, {*unsettled, *_beginning(snapshot, pids)})
            return
        try:
            now = session.observe()  # what was seen without the lock may be history
            now.require_ours()
        except ManagerError as error:
            warn(error)
        else:
            write(now, warn)


def _beginning(snapshot: FleetSnapshot, pids: Pids) -> set[str]:
    """Return the instances whose bots are about to be seen: another process may have started them."""
    return {
        instance
        for instance, view in snapshot.views.items()
        if instance not in pids.bots
        and view.container is not None
        and view.container.is_up
        and view.status.own_state in {"starting", "running"}
    }
