"""Observe the fleet for `watch`: again whenever a change is suspected, and across outages of the engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.config.fleet import Fleet
from manager.engine.containers import Observed
from manager.engine.http_socket import NoAnswer
from manager.errors import EngineError, ManagerError
from manager.fleet import doing, instances_json, instances_json_refresh, lock, observe, supervisor_state
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.monitor.watch import change_detector, engine_recovery, unchanged, updates
from manager.monitor.watch.engine_recovery import EngineOutage
from manager.monitor.watch.others_work import OthersWork, at_work_on
from manager.monitor.watch.shared_look import SharedLook
from manager.monitor.watch.unchanged import ProjectFiles
from manager.util import console
from manager.util.readable import wait_readable

LOOK_S = 30.0
"""Interval of looks without events: detects engines that do not answer."""
LIST_EVERY_S = 60.0
"""Interval of asking the engine for its list and the image without any hint: finds what no event tells."""
FULL_EVERY_S = 300.0
"""Interval of full observations where even the list is as it was: find what is in files that nobody but the
manager writes, which has told of it in others.
"""
SETTLE_S = 0.3
"""Delay between an event and the observation that it causes, because events come in bursts."""
AGAIN_S = 2.0
"""Delay after an observation while another manager was at work, which updates the exports at its end."""
RECONNECT_S = 0.5
"""A restarted engine is back within a second or two; a refused connection costs nothing."""
MEMORY_S = 120.0
"""How far back an engine is asked for events: running bots' health checks alone cause one per minute each."""
BUSY_MOST_S = 900.0
"""For this time another manager's work explains what is down; a lock held longer hides no dead bot."""
BEGINNING_S = 60.0
"""By then a command has set the firewall's rules, which it does before it starts anything."""
SETTLES_WITHIN_S = 20.0
"""A new engine answers before it has started what its restart policies require: 40 containers take ten
seconds.
"""
NEVER: Sequence[object] = (object(),)
"""The stamps of files that are not known."""
RECOVER_FOR_S = 120.0
"""Until then the old engine's port forwarding may prevent a start; later we assume an operator is working on
it.
"""


class FleetObserver:
    """Hold the latest snapshot. `why_away`: why the engine does not answer, empty while it does."""

    def __init__(self, session: Session, share: SharedLook | None = None) -> None:
        """Take `share`, which each look is given to."""
        self._session, self._share = session, share
        project = session.project()
        self.snapshot = observe.assemble(project, Observed({}), NO_IMAGE)
        self.why_away = ""
        self.crashed: dict[str, float] = {}
        """Instances that an engine crash left down, and since when (monotonic) they are to be started
        again.
        """
        self._states = change_detector.StateFiles()
        self._of: FleetSnapshot | None = None
        self._folders: Mapping[str, Path] = {}
        self._idle: frozenset[str] = frozenset()
        """The folders of the supervisors' states, of that snapshot."""
        self._events: change_detector.Events | None = None
        self._outage: EngineOutage | None = None
        self._next_look = self._full_at = self._list_at = 0.0
        self._files, self._stamps = ProjectFiles(), NEVER
        self._busy_since: float | None = None
        self._free_at = float("-inf")
        """When the lock was last seen to be free: what has changed since may be the work of its holder."""
        self._others_work = OthersWork()
        self._settles_at = 0.0
        self.fault = ""
        """Why the settings cannot be read; empty while they can."""
        self._has_reason = False
        """Whether the next look is due to a change, rather than to the time."""
        self._seen: FleetSnapshot | None = None
        """The last look, as it is shared; None while there is none that is sound."""

    @property
    def fleet(self) -> Fleet:
        """Return the fleet, with its present settings."""
        return self.snapshot.project.fleet

    def wait(self, seconds: float) -> None:
        """Wait until something happens, or the time has passed."""
        stream = self._events.stream if self._events else None
        if stream is None:
            time.sleep(min(seconds, RECONNECT_S) if self.why_away else seconds)
            return
        wait_readable(stream, seconds, *([self._share.ear] if self._share else ()))
        try:
            if self._events and self._events.read():
                self._look_within(SETTLE_S)
        except NoAnswer as error:
            self._lose(str(error))

    def look_if_due(self) -> bool:
        """Observe if there is a reason to. Returns whether it did, and the engine answered."""
        if self._of is not self.snapshot:
            self._of, state_dir = self.snapshot, self.fleet.instance_state_dir
            self._folders = {instance: state_dir(instance) for instance in self.snapshot.views}
            views = self.snapshot.views.values()
            self._idle = frozenset(view.id for view in views if view.container is None)
        uptime = supervisor_state.uptime()
        if self._states.have_changed(self._folders, uptime, self._idle) and not self.why_away:
            self._look_within(0)
        is_asked = self._share is not None and self._share.is_asked()
        has_reason = self._has_reason
        has_looked = False
        if is_asked or time.monotonic() >= self._next_look:
            has_looked = self._look_again(is_asked=is_asked)
        if self._share is not None:
            self._give(self._share, is_new=has_looked and has_reason)
        return has_looked

    def _give(self, share: SharedLook, *, is_new: bool) -> None:
        """Give the last look to those who share it, or say that there is none."""
        if self._seen is None:
            share.withdraw()
            return
        share.put(self._seen, self._states.latest(), self._states.reports())
        if is_new:
            share.on_change()

    def _look_again(self, *, is_asked: bool) -> bool:
        """Observe what may have changed, everything where there is a reason to. Returns what `look` does."""
        if not self._is_unchanged(is_asked=is_asked):
            return self.look()
        try:
            if time.monotonic() < self._list_at:
                self._session.engine().version()  # one that hangs sends no event
            elif unchanged.has_no_clock(self.snapshot) and unchanged.is_as_listed(
                self.snapshot, self._session.engine()
            ):
                self._list_at = time.monotonic() + LIST_EVERY_S
            else:
                return self.look()
        except EngineError as error:
            self._lose(str(error.text.params.get("why", error)))
            return False
        self._renew()
        return True

    def _is_unchanged(self, *, is_asked: bool) -> bool:
        """Return whether there is no reason to observe everything."""
        if is_asked or self._has_reason or self._seen is None or self.why_away or self.is_busy():
            return False
        if time.monotonic() >= self._full_at or not unchanged.says_all(self.snapshot):
            return False
        stamps = self._present_stamps()
        return stamps is not NEVER and stamps == self._stamps

    def _renew(self) -> None:
        """Take what changes all the time: what the supervisors and the bots report."""
        self._next_look = time.monotonic() + LOOK_S
        snapshot = unchanged.with_states(self.snapshot, self._states.latest())
        views = unchanged.with_reports(snapshot.views, self._states.reports())
        self.snapshot = snapshot if views is snapshot.views else snapshot._replace(views=views)
        self._others_work.note(views.values(), time.monotonic())

    def _present_stamps(self) -> Sequence[object]:
        try:
            return self._files.all_stamps(self._session.project_dir(), self.fleet.state_file)
        except ManagerError:  # said by the full observation
            return NEVER

    def look(self) -> bool:
        """Observe everything. Returns whether the engine answered."""
        self._next_look, self._has_reason, self._seen = time.monotonic() + LOOK_S, False, None
        self._full_at, self._list_at = time.monotonic() + FULL_EVERY_S, time.monotonic() + LIST_EVERY_S
        self._stamps = self._present_stamps()
        project = self._project()
        engine = self._session.engine(project.fleet.parallelism)
        try:
            if self._events is None:  # before the list, so that nothing falls between the two
                self._events = change_detector.Events(engine, project.fleet)
            observed = observe.look(project, engine)
            views = {view.id: view for view in doing.with_reports(project.fleet, observed.views.values())}
            self.snapshot = observed._replace(views=views)
            self._others_work.note(views.values(), time.monotonic())
            self._seen = None if self.fault else observed
            self._say_updates(self._events.updated)
        except EngineError as error:  # one that answers with errors tells as little as one that is away
            self._lose(str(error.text.params.get("why", error)))
            return False
        if self._outage is not None:
            self._returned(self._outage, time.time())
        self._outage, self.why_away = None, ""
        if self.is_busy():
            self._look_within(AGAIN_S)
        if self._events.is_ahead_of(self.snapshot.observed):
            self._look_within(SETTLE_S)
        instances_json_refresh.refresh(
            self._session,
            self.snapshot,
            instances_json.find_pids(self.snapshot),
            console.warning,
            unsettled=self.unsettled(),
        )
        return True

    def _say_updates(self, updated: set[str]) -> None:
        """Say once what somebody has changed by `docker update`."""
        ids = frozenset(updated)
        updated.clear()
        for text in updates.texts(self._session.engine(), self.snapshot, ids) if ids else ():
            console.say(text)

    def is_busy(self) -> bool:
        """Return whether another manager is changing the fleet, and not for suspiciously long."""
        return self._busy_holder() is not None

    def unsettled(self) -> frozenset[str]:
        """Return the instances whose being down has a temporary reason: another manager that is at work on
        them, or an engine that just started.
        """
        views, now, holder = self.snapshot.views, time.monotonic(), self._busy_holder()
        if now < self._settles_at:
            return frozenset(views)
        if holder is None:
            return frozenset()
        unsettled = {
            instance
            for instance, view in views.items()
            if view.status.own_state != "running" and self._others_work.explains(view, self._free_at, now)
        }
        named = at_work_on(self.fleet, holder) if unsettled else None
        return frozenset(unsettled if named is None else unsettled.intersection(named))

    def is_firewall_left_alone(self) -> bool:
        """Return whether no other manager sets or removes the firewall's rules now: it sets them at its
        beginning, and `down` removes them at its end.
        """
        holder = self._busy_holder()
        if holder is None or self._busy_since is None:
            return True
        return holder.get("command") != "down" and time.monotonic() - self._busy_since >= BEGINNING_S

    def _busy_holder(self) -> lock.Note | None:
        """Return the note of another manager that is changing the fleet, and not for suspiciously long."""
        now = time.monotonic()
        holder = lock.held_by(self.fleet.lock_file)
        if holder is None:
            self._busy_since, self._free_at = None, now
            return None
        self._busy_since = self._busy_since or now
        return holder if now - self._busy_since < BUSY_MOST_S else None

    def still_down(self) -> list[str]:
        """Return the crashed instances that are still down and may be started without a user, for a limited
        time.
        """
        plan_input, now = self.snapshot.plan_input, time.monotonic()
        self.crashed = {
            instance: since
            for instance, since in self.crashed.items()
            if now - since < RECOVER_FOR_S
            and instance in plan_input.wanted
            and not plan_input.is_up(instance)
            and not plan_input.is_stopped_by_wish(instance)
        }
        return list(self.crashed)

    def close(self) -> None:
        """Close the connection."""
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._share is not None:
            self._share.withdraw()

    def _project(self) -> Project:
        """Return the present project; the previous one while its settings are invalid."""
        before = self.snapshot.project
        try:
            project = self._session.project()
        except ManagerError as error:
            self._say_once(error)
            return before
        if (project.fleet.name, project.fleet.data_dir) != (before.fleet.name, before.fleet.data_dir):
            raise ManagerError("the fleet's name or data folder has changed: start `manager watch` again")
        self.fault = ""
        return project

    def _say_once(self, error: ManagerError) -> None:
        if str(error) != self.fault:
            self.fault = str(error)
            console.error(error)

    def _lose(self, why: str) -> None:
        """Record the outage and what was up at this moment; nothing is concluded about any bot."""
        if self._outage is None:
            stopping = self._events.last_words() if self._events else set()
            self._outage = engine_recovery.outage_at(
                time.time(), self.snapshot.observed.containers.values(), stopping
            )
        self.close()
        self.why_away, self._seen = why, None
        self._next_look = time.monotonic() + RECONNECT_S

    def _look_within(self, seconds: float) -> None:
        self._has_reason = True
        self._next_look = min(self._next_look, time.monotonic() + seconds)

    def _returned(self, outage: EngineOutage, first_answer: float) -> None:
        """Record what a new engine has left down, by the rule in engine_recovery.py.

        On errors nothing is recorded.
        """
        engine = self._session.engine()
        try:
            if engine.has_events_between(outage.at - MEMORY_S, outage.at - 1):
                return
            self._settles_at = time.monotonic() + SETTLES_WITHIN_S
            for container in engine_recovery.candidates(outage, self.snapshot.observed.containers.values()):
                if engine_recovery.ended_unasked(engine.inspect(container.id), outage, first_answer):
                    self.crashed[container.instance] = time.monotonic()
        except EngineError as error:
            console.error(error)
