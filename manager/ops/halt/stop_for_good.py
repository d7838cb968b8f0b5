"""Ensure that nothing undoes a `halt`, `stop` or `down`: set halt marks first, then wait for starts in
progress.

None of them waits for a lock that another manager holds. What that manager is starting is detected: it holds
the start lock from before its first check of the marks until after its second one.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import halt_mark, lock, start_lock, supervisor_state
from manager.fleet.halt_mark import By
from manager.i18n import Text
from manager.util import ownership

STARTS_END_WITHIN_S = 120.0
"""A busy engine takes a minute for a start; a manager of an earlier version may wait longer for the lock."""

LIST_LAG_S = 0.2
"""The engine's list shows a container as running for a moment after its stop has returned."""


class Starts:
    """Track the starts that were in progress when the marks were set."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._unaware = set(lock.unaware_of_marks(fleet.lock_file))
        self._deadline = time.monotonic() + STARTS_END_WITHIN_S

    def have_ended(self) -> bool:
        """Return whether none of them can start anything any more.

        Observe the containers after this, not before.
        """
        if self._unaware:
            self._unaware.intersection_update(lock.unaware_of_marks(self._fleet.lock_file))
        return not self._unaware and start_lock.have_ended(self._fleet)

    @property
    def are_too_slow(self) -> bool:
        """Return whether the time limit has passed."""
        return time.monotonic() > self._deadline

    def extend(self, seconds: float) -> None:
        """Allow this much more time: the stops themselves are spread over it."""
        self._deadline += seconds

    def error(self) -> ManagerError:
        """Return the error for that."""
        starts_lock = self._fleet.lock_file.with_name(start_lock.NAME)
        pids = ", ".join(str(pid) for pid in sorted(self._unaware) or lock.holders(starts_lock))
        who = Text("process {pids}", pids=pids) if pids else Text("another manager")
        return ManagerError("{who} may still start bots; stop it, and run the command again", who=who)


class Marked(NamedTuple):
    """Hold the instances that have a mark now. `error`: why others do not."""

    instances: Collection[str]
    error: ManagerError | None = None


def _make_folders(fleet: Fleet, instances: Iterable[str]) -> None:
    for instance in instances:
        with suppress(OSError):
            ownership.make_folder(fleet.secrets_dir(instance), 0o700)


def mark_all(
    fleet: Fleet, by: By, named: Iterable[str] | None = None, configured: Collection[str] = ()
) -> Marked:
    """Mark these instances, or all that have a folder. A halt of all also marks future ones. Never raises.

    `configured`: those that get a folder if they are named: others may be about to create them.
    """
    if named is not None:
        named = list(named)
        _make_folders(fleet, [instance for instance in named if instance in configured])
    there = halt_mark.folders(fleet)
    marked, unmarked, error = [], [], None
    for instance in there if named is None else [instance for instance in named if instance in there]:
        did_run = supervisor_state.has_bot(fleet.instance_state_dir(instance)) if by == "halt" else None
        try:
            halt_mark.make(fleet, instance, by, did_run=did_run)
            marked.append(instance)
        except OSError as caught:
            unmarked.append(instance)
            error = ManagerError(
                "cannot mark {ids} as halted: {why}; `manager up` or `docker start` may start what has no"
                " mark",
                ids=", ".join(unmarked),
                why=caught.strerror or caught,
            )
    if named is None and by == "halt":
        try:
            halt_mark.make_of_fleet(fleet)
        except OSError as caught:
            if not there:
                error = ManagerError("cannot mark the fleet as halted: {why}", why=caught.strerror or caught)
    return Marked(marked, error)
