"""Decide which instances may be down or unhealthy because of what another manager does at the moment.

The lock tells that one is at work, but not on what: an `upgrade` of forty bots holds it for half an hour, in
which a bot that dies elsewhere in the fleet must be told as at any other time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import upgrade_records
from manager.fleet.instance import Instance
from manager.fleet.lock import Note
from manager.fleet.status import STOPPING

BETWEEN_S = 60.0
"""What is stopped for its restart comes up within this time, beyond the stop time-out of one like it whose
port it needs.
"""

Seen = tuple[str, bool]
"""A container's id, empty for none, and whether it is up."""


class OthersWork:
    """Remember when each container was last seen to start, to end, or to be replaced. Times are monotonic."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._changed: dict[str, float] = {}

    def note(self, views: Iterable[Instance], now: float) -> None:
        """Compare another snapshot with the one before."""
        seen = {view.id: _seen(view) for view in views}
        for view in views:
            if self._seen.get(view.id, seen[view.id]) != seen[view.id]:
                self._changed[view.id] = now
            if _is_down_by_wish(view):  # when a command wants it to run again, it has yet to come to it
                self._changed.pop(view.id, None)
        self._changed = {instance: at for instance, at in self._changed.items() if instance in seen}
        self._seen = seen

    def explains(self, view: Instance, since: float, now: float) -> bool:
        """Return whether a command that has run since then may be why the instance is not running well.

        It is not if nothing of the instance's container has changed since, or if it ended too long ago. One
        that was not seen to run was down by a user's wish, and waits for the command to come to it. One that
        is being stopped is unhealthy until its bot has ended, for at most its stop time-out, and then stopped
        before the engine says so.
        """
        changed, (_container, is_up) = self._changed.get(view.id), _seen(view)
        if is_up:
            is_ending = view.status.detail == STOPPING or view.status.own_state == "stopped"
            return is_ending or (changed is not None and changed >= since)
        stop_timeout = view.spec.container_stop_timeout if view.spec is not None else 0
        return changed is None or (changed >= since and now - changed < stop_timeout + BETWEEN_S)


def at_work_on(fleet: Fleet, holder: Note) -> Collection[str] | None:
    """Return the instances that the lock's holder has named in the fleet's files; None if it does not say."""
    if holder.get("command") != "upgrade":
        return None
    try:
        records = upgrade_records.load(fleet)
    except ManagerError:
        return None
    return {instance for instance, record in records.items() if record.phase == "going"}


def _seen(view: Instance) -> Seen:
    container = view.container
    return ("", False) if container is None else (container.id, container.is_up)


def _is_down_by_wish(view: Instance) -> bool:
    """Return whether it is stopped, halted, or being removed by `down`, which may ask its exchange before."""
    container, saved = view.container, view.saved
    if container is not None and container.is_up:
        return False
    removed_at = saved.taken_down_at
    is_removed = removed_at is not None and (container is None or container.created <= removed_at)
    return saved.wish == "stopped" or bool(saved.halted) or is_removed
