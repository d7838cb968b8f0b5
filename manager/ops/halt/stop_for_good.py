"""Ensure that nothing undoes a `halt`, `stop` or `down`: set halt marks first, then wait for starts in
progress.

None of them waits for a lock that another manager holds. What that manager is starting is detected: it holds
the start lock from before its first check of the marks until after its second one.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import halt_mark, lock, start_lock, supervisor_state
from manager.fleet.halt_mark import By
from manager.fleet.selection import Selection
from manager.i18n import Text
from manager.typed import NamedTuple, assert_never
from manager.util import ownership
from manager.util.trusted_folder import trusted

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


def _mark_fleet(fleet: Fleet) -> None:
    """Mark future instances, which also keeps commands from starting present ones. Raises OSError.

    Without an inode, and with nothing else to spare, the export becomes the mark: it is written again.
    """
    try:
        halt_mark.make_of_fleet(fleet)
    except OSError as error:
        if halt_mark.of_fleet(fleet) is not None:
            return
        try:
            with trusted(fleet.export_file.parent) as logs, trusted(fleet.all_secrets_dir) as secrets:
                (logs / fleet.export_file.name).rename(secrets / halt_mark.FLEET_MARK)
        except OSError:
            raise error from None


def mark_first(fleet: Fleet | None, selection: Selection) -> tuple[Fleet, Marked] | None:
    """Mark what is to be halted before the project is read; None if only that tells what it is."""
    if fleet is None or selection.files:
        return None
    return fleet, mark_all(fleet, "halt", list(selection.ids) or None)


def mark_rest(
    fleet: Fleet,
    named: Sequence[str] | None,
    configured: Collection[str],
    first: tuple[Fleet, Marked] | None,
) -> Marked:
    """Mark what `mark_first` has not marked, and return all of it."""
    if first is None or first[0].data_dir != fleet.data_dir:
        return mark_all(fleet, "halt", named, configured)
    if named is None:
        return first[1]
    made = first[1]
    more = mark_all(
        fleet, "halt", [instance_id for instance_id in named if instance_id not in made.instances], configured
    )
    return Marked([*made.instances, *more.instances], more.error)


def mark_all(
    fleet: Fleet, by: By, named: Iterable[str] | None = None, configured: Collection[str] = ()
) -> Marked:
    """Mark these instances, or all that have a folder. A halt of all also marks future ones. Never raises.

    `configured`: those that get a folder if they are named: others may be about to create them.
    """
    if named is not None:
        named = list(named)
        _make_folders(fleet, [instance for instance in named if instance in configured])
    there, error = halt_mark.folders(fleet), None
    if named is None and by == "halt":  # first: it is one file, and no command starts anything against it
        try:
            _mark_fleet(fleet)
        except OSError as caught:
            if not there:
                error = ManagerError("cannot mark the fleet as halted: {why}", why=caught.strerror or caught)
    marked, unmarked = list[str](), list[str]()
    for instance in there if named is None else [instance for instance in named if instance in there]:
        did_run = supervisor_state.has_bot(fleet.instance_state_dir(instance)) if by == "halt" else None
        try:
            halt_mark.make(fleet, instance, by, did_run=did_run)
            marked.append(instance)
        except OSError as caught:
            unmarked.append(instance)
            error = _unmarked(by, unmarked, caught)
    return Marked(marked, error)


def _unmarked(by: By, instances: Sequence[str], why: OSError) -> ManagerError:
    match by:
        case "halt" | "moved":
            return ManagerError(
                "cannot mark {ids} as halted: {why}; `manager up` or `docker start` may start what has no"
                " mark",
                ids=", ".join(instances),
                why=why.strerror or why,
            )
        case "stop" | "down":
            return ManagerError(
                "cannot mark {ids} as stopped: {why}; a manager that is at work may start again what has no"
                " mark: run the command again when it has ended",
                ids=", ".join(instances),
                why=why.strerror or why,
            )
        case _:
            assert_never(by)
