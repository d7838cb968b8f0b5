"""Run a roll-out: batch after batch, watching each instance until it is ready, and rolling back failures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from manager.errors import CalledOff, ManagerError, Problem, TimedOut
from manager.fleet import causes, doing, event_spool, instances_json_refresh, lock, upgrade_records
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.state_file import RejectedRevision
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.events import ActionDone, LeftAlone, Warned
from manager.ops.egress.egress_limiter import Limiter
from manager.ops.execution import desired_state, rollback_store, wait
from manager.ops.execution.context import IN_THE_MIDDLE, INTERRUPTED
from manager.ops.planning import plan
from manager.ops.rollout import rollout_order, rollout_plan
from manager.ops.rollout.rollback import account_problem, elsewhere_problems, is_live, restore_old, valid
from manager.ops.rollout.rollout_events import (
    BatchStarted,
    HealthyAfter,
    OnRolloutEvent,
    Ready,
    Starting,
    Stopping,
    WaitsFor,
)
from manager.ops.rollout.rollout_order import Order, Request
from manager.ops.rollout.rollout_plan import Watched
from manager.ops.rollout.rollout_result import Result, RolloutAction, RolloutKind
from manager.util import formatting
from manager.util.interrupts import Interruption
from manager.util.polling import wait_until

if TYPE_CHECKING:
    from manager.ops.execution.context import ExecutionContext

POLL_S = 0.5
STOPPED_BY_FORCE = Text("the fleet was stopped by force meanwhile")
ENDED = Text(
    "interrupted before it was known to be ready; it stays upgraded: `manager upgrade` continues with it"
)


def upgrade(
    session: Session, request: Request, on_event: OnRolloutEvent, *, lock_wait: float = 0.0
) -> Result:
    """Roll out a new image or changed configs. Raises ManagerError if it cannot be started."""
    fleet = session.project().fleet
    with lock.held(
        fleet.lock_file, "upgrade", lock_wait, on_wait=lambda text: on_event(Warned(text))
    ) as held:
        held.wait_for_engine()
        snapshot = rollout_order.look(session, request, on_event)
        rollout = _Rollout(session, request, held, snapshot, on_event)
        result = rollout.run(rollout_order.order(request, snapshot, rollout.records, on_event))
        held.note_errors(outcome.error for outcome in result.outcomes)
        return result


class _Rollout:
    """Run one roll-out, batch after batch, until one fails."""

    def __init__(
        self,
        session: Session,
        request: Request,
        held: lock.HeldLock,
        snapshot: FleetSnapshot,
        on_event: OnRolloutEvent,
    ) -> None:
        self._session, self._request, self._held, self._on_event = session, request, held, on_event
        self._snapshot = snapshot
        self._fleet, self._engine = snapshot.project.fleet, session.engine()
        self.records = valid(upgrade_records.load(self._fleet), snapshot)
        self._outcomes: dict[str, Outcome[RolloutAction]] = {}
        self._killed: list[Outcome[Action]] = []
        self._stopped: Text | ManagerError | None = None

    def run(self, order: Order) -> Result:
        """Upgrade all batches, or as far as they succeed."""
        for action in order.left:
            left = RolloutAction("leave", action.instance, action.cause, action.is_moved)
            self._outcomes[action.instance] = Outcome(left)
            self._on_event(LeftAlone(action))
        for number, batch in enumerate(order.batches, start=1):
            ids = [action.instance for action in batch]
            if self._session.ending.number:
                self._stop(INTERRUPTED)
            if self._stopped is not None:
                for instance in ids:
                    self._note("not reached", instance, self._stopped)
                continue
            self._on_event(BatchStarted(number, len(order.batches), ids))
            try:
                self._batch(batch)
            except ManagerError as error:
                self._stop(error)
                self._note_missing(ids, error)
            except Interruption:
                self._note_missing(ids, CalledOff("{why}", why=IN_THE_MIDDLE))
                raise
        try:
            self._tidy()
        except ManagerError as error:
            self._stop(error)
        instances_json_refresh.write(self._snapshot, self._warn)
        return Result(self._snapshot, list(self._outcomes.values()), self._killed, self._stopped)

    def _note(
        self, kind: RolloutKind, instance: str, cause: Text | ManagerError, error: ManagerError | None = None
    ) -> None:
        self._outcomes[instance] = Outcome(RolloutAction(kind, instance, cause), error=error)
        event = event_spool.happened("upgrade", instance, kind, error or cause, is_done=error is None)
        event_spool.note(self._fleet, [event])

    def _note_missing(self, instances: Iterable[str], error: ManagerError) -> None:
        """Note it of those of which nothing has been noted yet."""
        for instance in instances:
            if instance not in self._outcomes:
                self._note("upgrade", instance, error, error)

    def _note_failed(self, instance: str, why: Text | ManagerError) -> None:
        self._note("upgrade", instance, why, ManagerError("{why}", why=why))

    def _tidy(self) -> None:
        """Remove records, images and env files that no rollback needs any more."""
        needed = valid(self.records, self._snapshot)
        if needed != upgrade_records.load(self._fleet):
            upgrade_records.save(self._fleet, needed)
        rollback_store.tidy(needed, self._fleet, self._engine)

    def _batch(self, batch: Sequence[Action]) -> None:
        """Upgrade these at the same time, each stopped before its new container starts; wait until they are
        ready.
        """
        from manager.ops.execution import prepare

        self._require_same_image()
        todo, before, project = plan.effective(batch), dict(self.records), self._snapshot.project
        limit = Limiter(self._engine, project, self._warn, is_strict=True)
        context = prepare.gather(  # may fail: before anything is kept
            *(self._session, self._snapshot, todo, self._held),
            limit=limit,
            has_fixed_ports=True,
            warn=self._warn,
        )
        self._save(self._kept(batch))
        faults = self._execute(todo, context)
        self._snapshot = self._session.look_again(self._snapshot)
        pending = {action.instance: Watched() for action in batch if action.instance not in faults}
        deadline = time.monotonic() + self._request.healthy_within
        while True:
            if faults:
                self._take_back(faults, before)
            if not pending:
                return
            faults, pending = self._watch(pending, deadline)

    def _warn(self, why: object) -> None:
        self._on_event(Warned(why))

    def _require_same_image(self) -> None:
        """Raise ManagerError if another image was built meanwhile, so that the fleet does not run a mix."""
        if self._engine.image(self._fleet.image_name)["Id"] != self._snapshot.image.id:
            raise ManagerError("the image {image} has changed meanwhile", image=self._fleet.image_name)

    def _kept(self, batch: Sequence[Action]) -> dict[str, UpgradeRecord]:
        """Keep what each of these was before. An interrupted upgrade has kept it already."""
        plan_input, at = self._snapshot.plan_input, formatting.iso(time.time())
        records = {}
        for instance in (action.instance for action in batch):
            record, container = self.records.get(instance), plan_input.containers.get(instance)
            config_hash = plan_input.wanted[instance].config_hash
            if (
                record is not None
                and record.phase == "going"
                and (container is None or container.id != record.container)
            ):
                records[instance] = record._replace(
                    image_id=plan_input.image_id, config_hash=config_hash, at=at
                )
            elif container is not None:
                records[instance] = rollback_store.keep(
                    container,
                    self._fleet,
                    self._engine,
                    image_id=plan_input.image_id,
                    config_hash=config_hash,
                    at=at,
                )
        return records

    def _save(self, records: upgrade_records.Steps) -> None:
        self.records = {**self.records, **records}
        upgrade_records.save(self._fleet, self.records)

    def _execute(self, todo: Sequence[Action], context: ExecutionContext) -> dict[str, ManagerError | Text]:
        """Stop and start. Returns why instances could not be started."""
        from manager.ops.execution import execute

        for action in todo:
            if action.kind == "recreate":
                self._on_event(Stopping(action))
        outcomes = execute.run(
            todo, context, lambda outcome: self._on_event(ActionDone(outcome)), self._keep_on_list
        )
        self._killed += [outcome for outcome in outcomes if outcome.was_killed]
        return {outcome.action.instance: outcome.error for outcome in outcomes if outcome.error is not None}

    def _keep_on_list(self, outcomes: Sequence[Outcome[Action]]) -> None:
        desired_state.keep_on_list(self._snapshot, outcomes)

    def _watch(
        self, pending: dict[str, Watched], deadline: float
    ) -> tuple[dict[str, ManagerError | Text], dict[str, Watched]]:
        """Wait until all are ready or one will not be. Returns the failures, and those still watched."""
        began = time.monotonic()
        faults: dict[str, ManagerError | Text] = {}

        def is_decided() -> bool:
            nonlocal faults, pending
            faults, pending = self._looked_at(pending, deadline, began)
            return bool(faults) or not pending or bool(self._session.ending.number)

        time.sleep(POLL_S)
        wait_until(is_decided, poll=POLL_S)
        if self._session.ending.number:
            for instance in pending:
                self._note("upgrade", instance, ENDED, ManagerError("{why}", why=ENDED))
            pending = {}
        return faults, pending

    def _looked_at(
        self, pending: Mapping[str, Watched], deadline: float, began: float
    ) -> tuple[dict[str, ManagerError | Text], dict[str, Watched]]:
        """Observe the watched instances once. Returns the failures, and those still watched."""
        self._snapshot, now = self._session.look_again(self._snapshot), time.monotonic()
        if self._held.was_overridden():
            return dict.fromkeys(pending, STOPPED_BY_FORCE), {}
        watched = {}
        for instance, before in pending.items():
            view = doing.with_last_words(self._snapshot.project.fleet, self._snapshot.views[instance])
            watched[instance] = after = before.next(view, now, self._request.ready, deadline)
            if before.healthy_since is None and after.healthy_since is not None:
                self._on_event(HealthyAfter(instance, now - began))
            if before.degraded_since is None and after.degraded_since is not None:
                self._on_event(WaitsFor(instance, _why_degraded(view), rollout_plan.DEGRADED_MOST_S))
            if after.is_late and not before.is_late:
                self._on_event(Starting(instance, causes.of_waiting(view), rollout_plan.STARTING_MOST_S))
        self._leave_unproven(
            [instance for instance, progress in watched.items() if progress.result == "unproven"]
        )
        self._done([instance for instance, state in watched.items() if state.result == "ready"])
        faults: dict[str, ManagerError | Text] = {
            instance: state.result for instance, state in watched.items() if isinstance(state.result, Text)
        }
        return faults, {instance: state for instance, state in watched.items() if state.result is None}

    def _leave_unproven(self, unproven: Sequence[str]) -> None:
        """Stop the roll-out after instances that stay upgraded, though it is unknown whether they can
        trade.
        """
        for instance in unproven:
            why = Text(
                "it has not been able to trade for {minutes} min ({why}), so the upgrade is not "
                "proven; it stays upgraded: `manager upgrade` continues with the others, `manager "
                "rollback {id}` undoes it",
                minutes=round(rollout_plan.DEGRADED_MOST_S / 60),
                why=_why_degraded(self._snapshot.views[instance]),
                id=instance,
            )
            self._stop(
                Text(
                    "{id} cannot trade: {what}",
                    id=instance,
                    what=_why_degraded(self._snapshot.views[instance]),
                )
            )
            self._note("upgrade", instance, why, TimedOut("{why}", why=why))
        if unproven:
            self._save({instance: self.records[instance]._replace(phase="done") for instance in unproven})

    def _done(self, ready: Sequence[str]) -> None:
        if not ready:
            return
        for instance in ready:
            self._on_event(Ready(instance))
            self._note("upgrade", instance, Text("ready"))
        self._save({instance: self.records[instance]._replace(phase="done") for instance in ready})
        state = self._snapshot.project.fleet_state
        accepted: dict[str, RejectedRevision | None] = {
            instance: None for instance in ready if state.of(instance).refused
        }
        desired_state.save_state(self._fleet, lambda present: present.with_refused(accepted))

    def _take_back(self, faults: Mapping[str, ManagerError | Text], before: upgrade_records.Steps) -> None:
        """Roll back what failed, and stop the roll-out."""
        first = next(iter(faults))
        self._stop(Text("{id}: {why}", id=first, why=faults[first]))
        todo = []
        elsewhere = self._elsewhere(faults)
        for instance, why in faults.items():
            self._note_failed(instance, why)
            container, record = (
                self._snapshot.plan_input.containers.get(instance),
                self.records.get(instance),
            )
            if record is None or self._held.was_overridden():
                continue
            if container is not None and container.id == record.container and container.is_up:
                self.records.pop(instance)
                self._save({instance: before[instance]} if instance in before else {})
                self._note_failed(instance, Text("{why}; its old container was left running", why=why))
            elif problem := account_problem(instance, record, self._snapshot) or elsewhere.get(instance):
                self._note_failed(instance, Text("{why}; {problem}", why=why, problem=problem))
            else:
                todo.append(Action("rollback", instance, Text("{why}", why=why)))
        self._restore(todo, {instance: str(why) for instance, why in faults.items()})

    def _elsewhere(self, faults: Iterable[str]) -> Mapping[str, Problem | ManagerError]:
        """Return instance → why another machine may trade on its old account by now."""
        live = {
            instance: record
            for instance in faults
            if (record := self.records.get(instance)) is not None and is_live(record)
        }
        try:
            return elsewhere_problems(self._snapshot, live, (), self._on_event, just_ran=True)
        except ManagerError as error:
            return dict.fromkeys(live, error)

    def _restore(self, todo: Sequence[Action], why: Mapping[str, str]) -> None:
        self._snapshot, outcomes = restore_old(
            self._session,
            self._held,
            self._snapshot,
            self.records,
            todo,
            why,
            self._on_event,
            self._keep_on_list,
            is_bound_to_finish=True,
        )
        self._killed += [outcome for outcome in outcomes if outcome.was_killed]
        back = [outcome.action.instance for outcome in outcomes if outcome.error is None]
        self.records |= {instance: self.records[instance]._replace(phase="back") for instance in back}
        for outcome in outcomes:
            instance, error = outcome.action.instance, outcome.error
            if error is not None:
                self._note_failed(instance, Text("{why}; {error}", why=why[instance], error=error))
            else:
                self._note("rolled back", instance, Text("{why}", why=why[instance]))
        self._snapshot, late = wait.until_healthy(
            self._session, self._snapshot, back, self._request.healthy_within, self._on_event
        )
        for instance in late:
            cause = Text("{why}; after the rollback it is not healthy either", why=why[instance])
            self._note("rolled back", instance, cause)

    def _stop(self, why: ManagerError | Text) -> None:
        self._stopped = self._stopped or why


def _why_degraded(view: Instance) -> Text:
    """Return what keeps a degraded bot from trading."""
    return doing.activity(view).message(time.time()) or Text("cause unknown")
