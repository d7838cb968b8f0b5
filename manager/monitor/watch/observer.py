"""What `watch` sees: the fleet as it is, looked at again whenever something hints that it has changed, and the engine's absences."""

from __future__ import annotations

import select
import time

from manager.config.fleet import Fleet
from manager.engine.containers import Observed
from manager.engine.http_socket import NoAnswer
from manager.errors import EngineError, ManagerError
from manager.fleet import doing, instances_json, instances_json_refresh, lock, observe, supervisor_state
from manager.fleet.observe import NO_IMAGE
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.monitor.watch import change_detector, engine_recovery
from manager.monitor.watch.engine_recovery import EngineOutage
from manager.util import console

LOOK_S = 30.0
"""Between two full looks when nothing happens: finds out whether the engine still answers, and whatever no event said."""
SETTLE_S = 0.3
"""From an event to the look that it causes: events come in bursts."""
AGAIN_S = 2.0
"""To the look after one that met another manager at work, which leaves the exports to it."""
RECONNECT_S = 0.5
"""An engine that is restarted is back within a second or two; a refused connection costs nothing."""
MEMORY_S = 120.0
"""How far back an engine is asked what it remembers: running bots' health checks alone are an event a minute each."""
BUSY_MOST_S = 900.0
"""For so long another manager's work explains what is down: a lock that is held longer hides no dead bot."""
SETTLES_WITHIN_S = 20.0
"""A new engine answers before it has started what its restart policies say: 40 containers take ten seconds."""
PUT_BACK_FOR_S = 120.0
"""The old engine's port forwarding may be in the way for some seconds; later a person's hands may be, and are left alone."""


class FleetObserver:
    """The latest look. `why_away`: why the engine does not answer, empty while it does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        project = session.project()
        self.snapshot = observe.assemble(project, Observed({}), NO_IMAGE)
        self.why_away = ""
        self.fallen: dict[str, float] = {}
        """Instances that the engine's death has left down, and since when (monotonic) they are to be put back."""
        self._states = change_detector.StateFiles()
        self._events: change_detector.Events | None = None
        self._loss: EngineOutage | None = None
        self._next_look = 0.0
        self._busy_since: float | None = None
        self._settles_at = 0.0
        self._fault = ""

    @property
    def fleet(self) -> Fleet:
        """The fleet, with its settings as they are now."""
        return self.snapshot.project.fleet

    def wait(self, seconds: float) -> None:
        """Until something happens, or for so long."""
        stream = self._events.stream if self._events else None
        if stream is None:
            time.sleep(min(seconds, RECONNECT_S) if self.why_away else seconds)
            return
        select.select([stream], [], [], seconds)
        try:
            if self._events and self._events.read():
                self._look_within(SETTLE_S)
        except NoAnswer as error:
            self._lose(str(error))

    def look_if_due(self) -> bool:
        """Looks, if there is a reason to. Whether it did, and the engine answered."""
        folders = {each: self.fleet.instance_state_dir(each) for each in self.snapshot.views}
        if self._states.have_changed(folders, supervisor_state.uptime()) and not self.why_away:
            self._look_within(0)
        return time.monotonic() >= self._next_look and self.look()

    def look(self) -> bool:
        """Looks at everything. Whether the engine answered."""
        self._next_look = time.monotonic() + LOOK_S
        project = self._project()
        engine = self._session.engine(project.fleet.parallelism)
        try:
            if self._events is None:  # before the list, so that nothing falls between the two
                self._events = change_detector.Events(engine, project.fleet)
            seen = observe.look(project, engine)
            views = {view.id: view for view in doing.with_reports(project.fleet, seen.views.values())}
            self.snapshot = seen._replace(views=views)
        except EngineError as error:  # one that answers with errors tells as little as one that is away
            self._lose(str(error.text.params.get("why", error)))
            return False
        if self._loss is not None:
            self._returned(self._loss, time.time())
        self._loss, self.why_away = None, ""
        if self.is_busy():
            self._look_within(AGAIN_S)
        else:
            instances_json_refresh.refresh(
                self._session, self.snapshot, instances_json.find_pids(self.snapshot), console.warning
            )
        return True

    def is_busy(self) -> bool:
        """Whether another manager is changing the fleet, and has not been at it for suspiciously long."""
        if lock.held_by(self.fleet.lock_file) is None:
            self._busy_since = None
            return False
        now = time.monotonic()
        self._busy_since = self._busy_since or now
        return now - self._busy_since < BUSY_MOST_S

    def is_unsettled(self) -> bool:
        """Whether what is down for the moment has a reason: another manager, or an engine that has just been started."""
        return self.is_busy() or time.monotonic() < self._settles_at

    def still_fallen(self) -> list[str]:
        """Those of the fallen that are still down, and may be started without anybody's word: for a while, no longer."""
        plan_input, now = self.snapshot.plan_input, time.monotonic()
        self.fallen = {
            each: since
            for each, since in self.fallen.items()
            if now - since < PUT_BACK_FOR_S
            and each in plan_input.wanted
            and not plan_input.is_up(each)
            and not plan_input.is_stopped_by_wish(each)
        }
        return list(self.fallen)

    def close(self) -> None:
        """Gives the connection back."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _project(self) -> Project:
        """The project as it is now; while somebody edits it into something unusable, as it was."""
        before = self.snapshot.project
        try:
            found = self._session.project()
        except ManagerError as error:
            self._say_once(error)
            return before
        if (found.fleet.name, found.fleet.data_dir) != (before.fleet.name, before.fleet.data_dir):
            raise ManagerError("the fleet's name or data folder has changed: start `manager watch` again")
        self._fault = ""
        return found

    def _say_once(self, error: ManagerError) -> None:
        if str(error) != self._fault:
            self._fault = str(error)
            console.error(error)

    def _lose(self, why: str) -> None:
        """The engine is gone, or out of sight. What was up at this moment is remembered; nothing is concluded about any bot."""
        if self._loss is None:
            stopping = self._events.last_words() if self._events else set()
            self._loss = engine_recovery.loss(
                time.time(), self.snapshot.observed.containers.values(), stopping
            )
        self.close()
        self.why_away = why
        self._next_look = time.monotonic() + RECONNECT_S

    def _look_within(self, seconds: float) -> None:
        self._next_look = min(self._next_look, time.monotonic() + seconds)

    def _returned(self, lost: EngineOutage, first_answer: float) -> None:
        """What a new engine has left down is noticed, by the rule in engine_recovery.py; a question that fails leaves all alone."""
        engine = self._session.engine()
        try:
            if engine.remembers(lost.at - MEMORY_S, lost.at - 1):
                return
            self._settles_at = time.monotonic() + SETTLES_WITHIN_S
            for each in engine_recovery.candidates(lost, self.snapshot.observed.containers.values()):
                if engine_recovery.ended_unasked(engine.inspect(each.id), lost, first_answer):
                    self.fallen[each.instance] = time.monotonic()
        except EngineError as error:
            console.error(error)
