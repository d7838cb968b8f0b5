"""Detect possible changes: the engine's events, supervisors' state files, the lock, the data folder's disk.

State files are checked once a second, by `stat`: of 200 those in whose folders the kernel has seen a change,
and all of them every half minute and where it does not tell (manager/util/folder_watch.py).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.engine import labels
from manager.engine.http_socket import NoAnswer
from manager.fleet import bot_report, supervisor_state
from manager.fleet.bot_report import KeptReport
from manager.fleet.supervisor_state import SupervisorState
from manager.monitor.watch.engine_recovery import ENDING_EVENTS
from manager.monitor.watch.machine_rules import Disk
from manager.typed import NamedTuple
from manager.util.folder_watch import FolderWatch

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.engine.client import Engine
    from manager.engine.containers import Observed
    from manager.engine.streams import EventStream

IDLE_EVERY_S = 5.0
"""Interval of looking for the state file of an instance without a container: another engine may have one."""
SHOWN_BEFORE: Mapping[str, Collection[str]] = {
    "die": {"running", "paused"},
    "pause": {"running"},
    "unpause": {"paused"},
}
"""Event → the states in which the engine's list still shows the container for a moment: of three that were
killed at once a third of a second, of twelve over one.
"""
SHOWN_WITHIN_S = 30.0
"""A list that is behind for longer is not waited for any more."""


BEAT = ("updated_at", "updated_uptime", "health_checked_at")
"""What a supervisor writes anew at each probe where nothing has happened."""
_but_the_beat = itemgetter(*(at for at, name in enumerate(SupervisorState._fields) if name not in BEAT))
STEADY = "running"
"""The state of which no time of a beat tells anything: of one that has ended, the last is its end."""
TIMED = frozenset({"exchange_away", "orders_refused", "ledger_differs"})
"""What a bot reports that a later probe may contradict."""


class _Known(NamedTuple):
    """Hold a state as last read, and its bot's report. `turns_at`: the uptime at which `is_stale` turns.
    `told`: the state as it is given out, which may be older by some beats.
    """

    supervisor: SupervisorState | None
    told: SupervisorState | None
    is_stale: bool
    report: KeptReport | None
    turns_at: float


class StateFiles:
    """Hold the supervisors' states and the bots' reports as last read."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._look_for_all_at = 0.0
        self._of: Mapping[str, Path] = {}
        self._folders: Mapping[str, str] = {}
        self._watch = FolderWatch()
        self._put_off: set[str] = set()
        """Instances whose files are to be looked at as soon as it is time for the idle ones."""
        self._uptime, self._turns_at = 0.0, math.inf
        """`_turns_at`: no state turns stale before."""
        self._states: Mapping[str, SupervisorState | None] = {}
        self._reports: Mapping[str, KeptReport | None] = {}

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
        if folders is not self._of:
            self._of, self._folders = folders, {key: f"{folder}" for key, folder in folders.items()}
            for instance in self._known.keys() - folders.keys():
                del self._known[instance]
            self._put_off &= folders.keys()
            self._states, self._reports = {}, {}
        due = self._watch.due(self._folders)
        if not self._uptime <= uptime < self._turns_at:
            self._turns_at = min((known.turns_at for known in self._known.values()), default=math.inf)
            if not self._uptime <= uptime < self._turns_at:
                due = self._folders
        put_off, self._put_off = self._put_off, set()
        changed, read = False, {*due, *put_off} if put_off else due
        for instance in read:
            before = self._known.get(instance)
            if before is not None and before.supervisor is None and instance in idle and not is_time:
                self._put_off.add(instance)
                continue
            now = self._known[instance] = self._read(instance, before, uptime)
            self._turns_at = min(self._turns_at, now.turns_at)
            changed = changed or _is_other(before, now)
        self._uptime = uptime
        if read:
            self._give_out(read)
        return changed

    def _read(self, instance: str, before: _Known | None, uptime: float) -> _Known:
        folder = self._of[instance]
        supervisor = supervisor_state.read(folder)  # the very object of before where the file is the same
        if supervisor is not None and supervisor.is_older_than_boot(uptime):
            uptime = supervisor_state.uptime()  # it may just have been written, since the time was taken
        report = bot_report.read_kept(folder)
        told = supervisor
        if before is not None and _is_beat(before.told, supervisor) and _code(report) not in TIMED:
            told = before.told
        is_stale = supervisor is not None and supervisor.is_stale(uptime)
        return _Known(supervisor, told, is_stale, report, _turns_at(supervisor, uptime))

    def _give_out(self, read: Collection[str]) -> None:
        """Renew what is given out where any of what was read is another object, by which its readers tell."""
        known, states, reports = self._known, self._states, self._reports
        if len(states) != len(known) or any(
            states.get(one) is not known[one].told for one in read if one in known
        ):
            self._states = {instance: one.told for instance, one in known.items()}
        if len(reports) != len(known) or any(
            reports.get(one) is not known[one].report for one in read if one in known
        ):
            self._reports = {instance: one.report for instance, one in known.items()}

    def latest(self) -> Mapping[str, SupervisorState | None]:
        """Return the states as last read; of one that runs on, without the times of its last beats. The very
        object of before where nothing is new.
        """
        return self._states

    def reports(self) -> Mapping[str, KeptReport | None]:
        """Return the reports that are kept of the bots, as last read, in the same way."""
        return self._reports


def _is_other(before: _Known | None, now: _Known) -> bool:
    """Return whether anything has happened."""
    if before is None:
        return True
    if before.told is not now.told and gist(before.supervisor) != gist(now.supervisor):
        return True
    # No state of the supervisor's tells of a stop loss that is reached while its position is not closed yet.
    is_same = before.report is now.report or _code(before.report) == _code(now.report)
    return before.is_stale != now.is_stale or not is_same


def _is_beat(before: SupervisorState | None, now: SupervisorState | None) -> bool:
    """Return whether a bot runs on, and its supervisor has said nothing but that."""
    if before is now:
        return True
    if before is None or now is None or now.state != STEADY:
        return False
    return bool(_but_the_beat(before) == _but_the_beat(now))


def _code(kept_report: KeptReport | None) -> str | None:
    """Return the code of the condition in a report."""
    condition = None if kept_report is None else kept_report.report.condition
    return None if condition is None else condition.code


def _turns_at(supervisor: SupervisorState | None, uptime: float) -> float:
    """Return the uptime at which it will be stale, or no longer be, if nothing is written until then."""
    if supervisor is None:
        return math.inf
    if uptime < supervisor.updated_uptime:
        return supervisor.updated_uptime
    return supervisor.fresh_until if uptime <= supervisor.fresh_until else math.inf


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
        self._unseen: dict[str, tuple[str, float]] = {}
        """Id → an event that the engine's list may not show yet, and when it was read."""

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
            if action in SHOWN_BEFORE:
                self._unseen[container] = action, time.monotonic()
            elif action == "start":
                self._unseen.pop(container, None)
        return bool(events)

    def is_ahead_of(self, listed: Observed) -> bool:
        """Return whether this list shows any container as it was before its last event: nothing more may come
        of it.
        """
        containers = (*listed.containers.values(), *listed.strays)
        states = {container.id: container.engine_state for container in containers}
        oldest = time.monotonic() - SHOWN_WITHIN_S
        self._unseen = {
            container: (action, at)
            for container, (action, at) in self._unseen.items()
            if at >= oldest and states.get(container) in SHOWN_BEFORE[action]
        }
        return bool(self._unseen)

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
