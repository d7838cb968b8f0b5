"""One roll-out on its way: batch after batch, each instance watched until it is ready, what fails put back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from manager.errors import FAILED, TIMED_OUT, ManagerError, worst_exit_code
from manager.fleet import instances_json, instances_json_refresh, lock, upgrade_records
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session, show_problems
from manager.fleet.state_file import RejectedRevision
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text, _, mark
from manager.ops import desired_state, plan, report, rollback_store, rollout_plan, wait
from manager.ops.action import Action
from manager.ops.rollback import purse_problem, put_back, valid
from manager.ops.rollout_plan import Watched
from manager.util import console

if TYPE_CHECKING:
    from manager.ops.execute import ExecutionContext, Outcome

Result = Literal["upgraded", "put back", "failed", "not reached", "left"]
RESULTS = {
    "upgraded": mark("upgraded"),
    "put back": mark("put back"),
    "failed": mark("FAILED"),
    "not reached": mark("not reached"),
    "left": mark("left alone"),
}


POLL_S = 0.5
STOPPED_BY_FORCE = Text("the fleet was stopped by force meanwhile")


class Fate(NamedTuple):
    """What became of one instance of a roll-out, and why."""

    result: Result
    why: Text | ManagerError
    code: int = 0


class Rolling:
    """One roll-out on its way: batch after batch, until one fails."""

    def __init__(self, session: Session, held: lock.Held, snapshot: FleetSnapshot) -> None:
        self._session, self._held, self._snapshot = session, held, snapshot
        self._fleet, self._engine = snapshot.project.fleet, session.engine()
        self.steps = valid(upgrade_records.load(self._fleet), snapshot)
        self._fates: dict[str, Fate] = {}
        self._killed: list[Outcome] = []
        self._stopped: Text | ManagerError | None = None

    def run(self, planned: rollout_plan.Plan, batches: list[list[Action]]) -> None:
        """Upgrades them all, or as far as it goes well."""
        for action in planned.left:
            self._fates[action.instance] = Fate("left", action.cause)
            self._tell(report.action_line(action))
        for number, batch in enumerate(batches, start=1):
            names = ", ".join(each.instance for each in batch)
            if self._stopped is not None:
                for each in batch:
                    self._fates[each.instance] = Fate("not reached", self._stopped)
                continue
            head = (
                Text("canary: {ids}", ids=names)
                if number == 1
                else Text("batch {number} of {count}: {ids}", number=number, count=len(batches), ids=names)
            )
            self._tell(head)
            try:
                self._batch(batch)
            except ManagerError as error:
                self._stop(error)
                for each in batch:
                    self._fates.setdefault(each.instance, Fate("failed", error, error.exit_code))
        try:
            self._tidy()
        except ManagerError as error:
            self._stop(error)
        instances_json_refresh.write(self._snapshot)

    def conclude(self) -> int:
        """Says what all of it came to. Returns the exit code."""
        if self._session.as_json:
            console.say_json([_object(each, fate) for each, fate in sorted(self._fates.items())])
        else:
            self._summarise()
        for outcome in self._killed:
            console.error(report.killed_text(outcome))
        for each, fate in self._fates.items():
            if fate.code:
                console.error(
                    Text("{id}: {result}: {why}", id=each, result=Text(RESULTS[fate.result]), why=fate.why)
                )
        show_problems(self._snapshot.project)
        codes = [fate.code for fate in self._fates.values()] + [TIMED_OUT for _killed in self._killed]
        if isinstance(self._stopped, ManagerError):
            if all(fate.why is not self._stopped for fate in self._fates.values() if fate.code):
                console.error(self._stopped)
            codes.append(self._stopped.exit_code)
        return worst_exit_code(codes)

    def _summarise(self) -> None:
        if all(fate.result == "left" for fate in self._fates.values()):
            console.say(_("nothing to upgrade"))
        for result in ("upgraded", "not reached"):
            if ids := [each for each, fate in self._fates.items() if fate.result == result]:
                console.say(f"{_(RESULTS[result])}: {', '.join(ids)}")
        if self._stopped is not None:
            console.say(Text("the roll-out has stopped: {why}", why=self._stopped))

    def _tidy(self) -> None:
        """Lets go of what nobody can go back to any more."""
        needed = valid(self.steps, self._snapshot)
        if needed != upgrade_records.load(self._fleet):
            upgrade_records.save(self._fleet, needed)
        rollback_store.tidy(needed, self._fleet, self._engine)

    def _batch(self, batch: list[Action]) -> None:
        """Upgrades these at the same time, each one stopped before its new one starts; waits until they are ready."""
        from manager.ops import prepare

        self._require_same_image()
        todo, before = plan.effective(batch), dict(self.steps)
        given = prepare.gather(
            self._session, self._snapshot, todo, self._held
        )  # may fail: before anything is kept
        self._save(self._kept(batch))
        faults = self._execute(todo, given)
        self._snapshot = self._session.look_again(self._snapshot)
        pending = {each.instance: Watched() for each in batch if each.instance not in faults}
        deadline = time.monotonic() + self._session.args.wait_timeout
        while True:
            if faults:
                self._take_back(faults, before)
            if not pending:
                return
            faults, pending = self._watch(pending, deadline)

    def _require_same_image(self) -> None:
        """Raises ManagerError when somebody has built another image meanwhile: half a fleet on each is nobody's wish."""
        if self._engine.image(self._fleet.image_name)["Id"] != self._snapshot.image.id:
            raise ManagerError("the image {image} has changed meanwhile", image=self._fleet.image_name)

    def _kept(self, batch: list[Action]) -> dict[str, UpgradeRecord]:
        """What each of these was, kept before it is touched. One at which a killed upgrade was has been kept already."""
        plan_input, at = self._snapshot.plan_input, instances_json.local_iso(time.time())
        found = {}
        for each in (action.instance for action in batch):
            step, container = self.steps.get(each), plan_input.containers.get(each)
            config_hash = plan_input.wanted[each].config_hash
            if (
                step is not None
                and step.phase == "going"
                and (container is None or container.id != step.container)
            ):
                found[each] = step._replace(image_id=plan_input.image_id, config_hash=config_hash, at=at)
            elif container is not None:
                found[each] = rollback_store.keep(
                    container,
                    self._fleet,
                    self._engine,
                    image_id=plan_input.image_id,
                    config_hash=config_hash,
                    at=at,
                )
        return found

    def _save(self, steps: upgrade_records.Steps) -> None:
        self.steps = {**self.steps, **steps}
        upgrade_records.save(self._fleet, self.steps)

    def _execute(self, todo: list[Action], given: ExecutionContext) -> dict[str, ManagerError | Text]:
        """Stops and starts. Returns what kept an instance from being started."""
        from manager.ops import execute

        def on_done(outcome: Outcome) -> None:
            self._tell(report.outcome_line(outcome))

        for each in todo:
            if each.kind == "recreate":
                self._tell(Text("{id}: stopping ({cause})", id=each.instance, cause=each.cause))
        outcomes = execute.run(todo, given, on_done)
        self._killed += [each for each in outcomes if each.was_killed]
        return {each.action.instance: each.error for each in outcomes if each.error is not None}

    def _watch(
        self, pending: dict[str, Watched], deadline: float
    ) -> tuple[dict[str, ManagerError | Text], dict[str, Watched]]:
        """Waits until all are ready, or one will not be. Returns why those will not be, and those still to be watched."""
        began = time.monotonic()
        while True:
            time.sleep(POLL_S)
            self._snapshot, now = self._session.look_again(self._snapshot), time.monotonic()
            if self._held.was_passed():
                return dict.fromkeys(pending, STOPPED_BY_FORCE), {}
            for each, was in pending.items():
                pending[each] = was.next(self._snapshot.views[each], now, self._session.args.ready, deadline)
                if was.healthy_since is None and pending[each].healthy_since is not None:
                    self._tell(Text("{id}: healthy after {seconds} s", id=each, seconds=f"{now - began:.1f}"))
            self._done([each for each, watched in pending.items() if watched.result == "ready"])
            faults = {
                each: why for each, watched in pending.items() if isinstance(why := watched.result, Text)
            }
            pending = {each: watched for each, watched in pending.items() if watched.result is None}
            if faults or not pending:
                return dict(faults), pending

    def _done(self, ready: list[str]) -> None:
        if not ready:
            return
        for each in ready:
            self._tell(Text("{id}: ready", id=each))
            self._fates[each] = Fate("upgraded", Text("ready"))
        self._save({each: self.steps[each]._replace(phase="done") for each in ready})
        remembered = self._snapshot.project.memory
        again: dict[str, RejectedRevision | None] = {
            each: None for each in ready if remembered.of(each).refused
        }
        desired_state.remember(self._snapshot, remembered.with_refused(again))

    def _take_back(self, faults: dict[str, ManagerError | Text], before: upgrade_records.Steps) -> None:
        """Puts back what failed, and stops the roll-out."""
        first = next(iter(faults))
        self._stop(Text("{id}: {why}", id=first, why=faults[first]))
        todo = []
        for each, why in faults.items():
            self._fates[each] = Fate("failed", why, FAILED)
            container, step = self._snapshot.plan_input.containers.get(each), self.steps.get(each)
            if step is None or self._held.was_passed():
                continue
            if container is not None and container.id == step.container and container.is_up:
                self.steps.pop(each)
                self._save({each: before[each]} if each in before else {})
                self._fates[each] = Fate("failed", Text("{why}; it runs on as it was", why=why), FAILED)
            elif problem := purse_problem(each, step, self._snapshot):
                self._fates[each] = Fate("failed", Text("{why}; {problem}", why=why, problem=problem), FAILED)
            else:
                todo.append(Action("rollback", each, Text("{why}", why=why)))
        self._restore(todo, {each: str(why) for each, why in faults.items()})

    def _restore(self, todo: list[Action], why: dict[str, str]) -> None:
        self._snapshot, outcomes = put_back(self._session, self._held, self._snapshot, self.steps, todo, why)
        self._killed += [each for each in outcomes if each.was_killed]
        back = [each.action.instance for each in outcomes if each.error is None]
        self.steps |= {each: self.steps[each]._replace(phase="back") for each in back}
        for outcome in outcomes:
            each, error = outcome.action.instance, outcome.error
            result: Result = "failed" if error else "put back"
            self._fates[each] = Fate(
                result,
                Text("{why}; {error}", why=why[each], error=error) if error else Text("{why}", why=why[each]),
                FAILED,
            )
        self._snapshot, late = wait.until_healthy(
            self._session, self._snapshot, back, self._session.args.wait_timeout, quiet=self._session.as_json
        )
        for each in late:
            self._fates[each] = Fate(
                "put back", Text("{why}; as it was it is not healthy either", why=why[each]), FAILED
            )

    def _stop(self, why: ManagerError | Text) -> None:
        self._stopped = self._stopped or why

    def _tell(self, text: object) -> None:
        if not self._session.as_json:
            console.say(text)


def _object(instance: str, fate: Fate) -> dict[str, Any]:
    return {"id": instance, "result": fate.result, "why": str(fate.why)}
