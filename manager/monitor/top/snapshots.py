"""Observe the fleet every few seconds: in full only where something may have changed, else its bots alone.

A full observation of 200 instances costs 40 ms of CPU, and what it finds is nearly always what it was. Where
`watch` runs in the same process, it is the one who observes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.engine.http_socket import NoAnswer
from manager.fleet import supervisor_state
from manager.fleet.bot_report import KeptReport
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.monitor.watch import change_detector
from manager.monitor.watch.shared_look import Shared, SharedLook
from manager.monitor.watch.unchanged import ProjectFiles, stamp, with_states
from manager.util.readable import wait_readable

FULL_EVERY_S = 60.0
"""Interval of full observations without a hint: finds what neither event nor file tells: a new image."""
ANSWER_WITHIN_S = 2.0
"""A `watch` that is at work on something else does not keep anybody from seeing the fleet."""


class SnapshotReader:
    """Hold the latest snapshot, and what would tell that the fleet is another one."""

    def __init__(self, session: Session, share: SharedLook | None = None) -> None:
        """Take `share`: what `watch` sees, where it runs in this process."""
        self._session, self._share = session, share
        self.reports: Mapping[str, KeptReport | None] | None = None
        """The bots' reports as `watch` has read them; None where it has not."""
        self._seen_by_watch: FleetSnapshot | None = None
        self._snapshot: FleetSnapshot | None = None
        self._events: change_detector.Events | None = None
        self._states = change_detector.StateFiles()
        self._stamps: Sequence[object] = ()
        self._folders: dict[str, Path] = {}
        self._full_at = 0.0
        self._files = ProjectFiles()

    def read(self) -> FleetSnapshot:
        """Return the fleet now. Raises ManagerError: no engine, a project that cannot be read."""
        shared = None if self._share is None else self._share.latest()
        if shared is not None and (snapshot := self._of_watch(shared)) is not None:
            return snapshot
        before, self._seen_by_watch, self.reports = self._snapshot, None, None
        if before is None or time.monotonic() >= self._full_at or self._has_changed(before):
            self._snapshot = self._observed()
        else:
            self._session.engine().version()  # one that hangs sends no event
            self._snapshot = with_states(before, self._states.latest())
        return self._snapshot

    def _of_watch(self, shared: Shared) -> FleetSnapshot | None:
        """Return what `watch` sees; None where it does not look although a file has changed."""
        assert self._share is not None
        if self._snapshot is not None:  # observed here so far
            self._snapshot, self._stamps = None, ()
            self.close()
        stamps = self._present_stamps(shared.snapshot)
        if stamps != self._stamps:
            new = self._share.ask(ANSWER_WITHIN_S)
            if new is None:
                return None
            shared, self._stamps = new, stamps
        self._session.engine().version()  # one that hangs sends no event
        before = self._seen_by_watch
        if before is None or before.observed is not shared.snapshot.observed:
            before = shared.snapshot
        self._seen_by_watch, self.reports = with_states(before, shared.states), shared.reports
        return self._seen_by_watch

    def _observed(self) -> FleetSnapshot:
        self._snapshot = None  # after a failure, all is observed again
        if self._events is None:  # before the list, so that nothing falls between the two
            fleet = self._session.project().fleet
            self._events = change_detector.Events(self._session.engine(fleet.parallelism), fleet)
        stamps = self._files.stamps(self._session.project_dir())
        snapshot = self._session.observe()
        fleet = snapshot.project.fleet
        self._folders = {instance: fleet.instance_state_dir(instance) for instance in snapshot.views}
        self._states.have_changed(self._folders, supervisor_state.uptime())
        self._stamps = [*stamps, stamp(fleet.state_file)]
        is_behind = self._events.is_ahead_of(snapshot.observed)
        self._full_at = time.monotonic() + (0.0 if is_behind else FULL_EVERY_S)
        return snapshot

    def _has_changed(self, before: FleetSnapshot) -> bool:
        """Return whether an event, a file of the project or a supervisor tells of a change."""
        if self._have_events():
            return True
        if self._stamps != self._present_stamps(before):
            return True
        return self._states.have_changed(self._folders, supervisor_state.uptime())

    def _have_events(self) -> bool:
        """Return whether the engine tells of something; its end, too, which the next call explains."""
        if self._events is None:
            return True
        try:
            return wait_readable(self._events.stream, 0) and self._events.read()
        except NoAnswer:
            self.close()
            return True

    def _present_stamps(self, before: FleetSnapshot) -> Sequence[object]:
        return self._files.all_stamps(self._session.project_dir(), before.project.fleet.state_file)

    def close(self) -> None:
        """Close the event stream."""
        if self._events is not None:
            self._events.close()
            self._events = None
