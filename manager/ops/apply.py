"""Run one changing command: observe, plan, execute, observe again, export. Progress is emitted as events."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

from manager.config.fleet import Fleet
from manager.engine import fleet_network
from manager.errors import EngineUnreachable, ManagerError
from manager.fleet import halt_mark, instances_json, instances_json_refresh, lock
from manager.fleet.halt_mark import HaltMark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.state_file import NOTHING, CalledOffBy, FleetState
from manager.i18n import Text
from manager.ops import planned_change
from manager.ops.actions.action import Action, Change, Outcome, has_started
from manager.ops.actions.events import ActionDone, ActionsEnded, ActionsStarted, LeftAlone, OnEvent, Warned
from manager.ops.actions.result import Planned, Result
from manager.ops.egress.egress_limiter import Limiter
from manager.ops.execution import compose_notices, desired_state
from manager.ops.halt import command_marks, stop_for_good, untrusted_folders
from manager.ops.halt.command_marks import Unlifted
from manager.ops.halt.stop_for_good import Starts
from manager.ops.planned_change import Plan
from manager.ops.planning import moved_away
from manager.ops.planning import plan as plans
from manager.typed import TYPE_CHECKING, Any, NamedTuple
from manager.util import moment
from manager.util.moment import Moment

if TYPE_CHECKING:
    from manager.ops.exchange.asking import Asking

FEW = 10
"""Up to this many instances are inspected one by one; for more, listing all containers is as cheap."""
LOOK_HOLDS_S = 2.0
"""How long a snapshot of untouched instances is trusted. Listing a hundred takes 10 ms."""


def planned(session: Session, change: Change, on_event: OnEvent) -> Planned:
    """Return what the change would do now. Raises ManagerError if it cannot be carried out."""
    snapshot, actions, named, held_back = planned_change.make(session, change, on_event)
    actions = moved_away.settle(snapshot.plan_input, actions, named or ())
    if any(action.starts for action in actions):
        from manager.ops.folders import bot_user

        bot_user.require_writing(session.engine().info())
    return Planned(snapshot, actions, held_back.problems)


def apply(
    session: Session,
    change: Change,
    on_event: OnEvent,
    *,
    lock_wait: float = 0.0,
    force: bool = False,
    new_id: str | None = None,
    healthy_within: float | None = None,
    given_at: Moment | None = None,
) -> Result:
    """Carry out the change under the fleet's lock. Raises ManagerError if it cannot be started.

    A `stop` or `down` proceeds although another manager holds the lock: with `force` at once, otherwise after
    `lock_wait` seconds. `new_id`: the id to assign to the instance of the one selected config file.
    `healthy_within`: wait up to this many seconds until everything that should run is healthy. `given_at`:
    when the user gave the command; whatever was stopped later stays stopped.
    """
    given_at = moment.now() if given_at is None else given_at
    if change.lifts_fleet_mark is not None and change.lifts_fleet_mark.at.is_after(given_at):
        change = change._replace(lifts_fleet_mark=None)
    is_stop = not change.needs_sound_configs
    project = session.project_to_halt() if is_stop else session.project()
    fleet = project.fleet
    marks = {  # as they were when the command was given, before it waits for the lock
        instance: mark
        for instance, mark in halt_mark.find_all(fleet, project.specs).items()
        if not mark.at.is_after(given_at)
    }
    wait_s = 0.0 if force else lock_wait
    with lock.held(
        fleet.lock_file,
        change.command,
        wait_s,
        force=force or is_stop,
        on_wait=lambda text: on_event(Warned(text)),
    ) as held:
        held.wait_for_engine()
        starts, unmarked = None, None
        if is_stop and held.has_passed:
            starts, unmarked = command_marks.set_before(change, project)
        if new_id:
            desired_state.name_instance(session, change.selection.files, new_id)
        info = _info_meanwhile(session, fleet) if change.command == "restart" else None
        plan = planned_change.make(session, change, on_event)
        if held.was_overridden():
            raise ManagerError("the fleet was stopped by force meanwhile; nothing was done")
        info = info or _info_for(session, plan)
        if change.command == "up":
            compose_notices.own_compose_yaml(plan.snapshot.project, on_event)
        limit = _limiter(session, change, plan, on_event)
        run = _Run(session, change, fleet, plan, held, on_event, limit, info)
        if not is_stop:
            run.limit()
        recorded = _record(run, marks, project.fleet_state, given_at)
        written = instances_json_refresh.ahead(plan.snapshot, plan.touched)
        result = _end(run, *_act(run, recorded, unmarked, starts), written)
    if healthy_within is None or result.engine_error is not None:
        return result
    return _when_healthy(run, result, healthy_within)


class _Run(NamedTuple):
    """Hold what each step of a command needs while it has the fleet's lock.

    `info` returns the engine's description of itself, where it was asked for in advance.
    """

    session: Session
    change: Change
    fleet: Fleet
    plan: Plan
    held: lock.HeldLock
    on_event: OnEvent
    limit: Limiter
    info: Callable[[], Mapping[str, Any]] | None = None

    @property
    def is_stop(self) -> bool:
        """Return whether the command only stops or removes, which no invalid config prevents."""
        return not self.change.needs_sound_configs

    def warn(self, why: object) -> None:
        """Tell the user."""
        self.on_event(Warned(why))


class _Recorded(NamedTuple):
    """Hold what a command has found and left in the fleet's files before it did anything.

    `called_off`: the instances that were stopped or removed since it was given. `unlifted`: the marks that
    stay. `unsaved`: why the desired state could not be saved.
    """

    called_off: Mapping[str, CalledOffBy]
    unlifted: Unlifted
    unsaved: ManagerError | None


def _record(
    run: _Run, marks: Mapping[str, HaltMark], state_before: FleetState, given_at: Moment
) -> _Recorded:
    """Lift the halt marks that the command overrides, and save what it wants of each instance."""
    change, (snapshot, actions, named, held_back) = run.change, run.plan
    theirs = {instance: mark for instance, mark in marks.items() if instance not in held_back.instances}
    desired_state.keep_halted(change, snapshot, named)
    unlifted = command_marks.lift(change, snapshot, actions, named, theirs)
    state = snapshot.project.fleet_state
    called_off = {} if run.is_stop else state.called_off_since(state_before, given_at)
    unsaved = desired_state.save_wish(change, snapshot, actions, named, called_off)
    return _Recorded(called_off, unlifted, unsaved)


def _act(
    run: _Run, recorded: _Recorded, unmarked: ManagerError | None, starts: Starts | None
) -> tuple[list[Outcome[Action]], list[ManagerError]]:
    """Carry out the plan. Also returns what no outcome says.

    `starts`: what another manager is starting, which a stop outlasts; `unmarked`: what it could not mark.
    """
    change, (snapshot, actions, named, _held_back) = run.change, run.plan
    gone = _asking(run.session, snapshot).gone(named) if change.command in {"stop", "down"} else ()
    todo, kept = recorded.unlifted.split(actions)
    outcomes = _carry_out(run, snapshot, todo, recorded.called_off, [*gone, *kept])
    unsaved = desired_state.end_halt(change, run.fleet, named, outcomes) or recorded.unsaved
    errors = [unsaved, recorded.unlifted.error(kept), unmarked]
    if starts is not None:
        more, unfinished = _until_nothing_starts(run, starts)
        outcomes, errors = outcomes + more, [*errors, unfinished]
    if run.is_stop:
        errors.append(untrusted_folders.error(run.fleet, snapshot.views if named is None else named))
    return outcomes, [error for error in errors if error is not None]


def _end(
    run: _Run,
    outcomes: list[Outcome[Action]],
    errors: list[ManagerError],
    written: Callable[[], Mapping[str, int]],
) -> Result:
    """Observe the fleet again and export it; remove the network of one that is down. `written` returns the
    bots whose pid files were written in advance.
    """
    change, (snapshot, actions, named, held_back) = run.change, run.plan
    run.held.note_errors(outcome.error for outcome in outcomes)
    is_all = change.command == "down" and named is None
    if any(outcome.error is not None for outcome in outcomes):
        is_all = False  # from what is left its exchange may be asked, by the network
    engine_error: EngineUnreachable | None = None
    try:
        with _network_removed(run) if is_all else nullcontext():
            after = _look_after(run.session, snapshot, outcomes)
            instances_json_refresh.write(after, run.warn, written=written())
        compose_notices.after_change(after.project, named, outcomes, run.on_event)
        if change.command == "down" and named is None:
            from manager.ops.execution import orphan_notices

            orphan_notices.warn_of_running(after, actions, run.on_event)
        if is_all:
            run.limit()
    except EngineUnreachable as error:  # what was done before is said all the same
        after, engine_error = snapshot, error
    return Result(
        after,
        actions,
        outcomes,
        errors=errors,
        engine_error=engine_error,
        problems=held_back.problems,
    )


def _when_healthy(run: _Run, result: Result, within_s: float) -> Result:
    """Return the result once everything that should run is healthy, or does not become so in time."""
    from manager.ops.execution import wait

    ids = wait.meant_to_run(result.snapshot, result.actions, result.outcomes, run.plan.named)
    after, late = wait.until_healthy(run.session, result.snapshot, ids, within_s, run.on_event)
    instances_json_refresh.refresh(run.session, after, instances_json.find_pids(after), run.warn)
    return Result(after, result.actions, result.outcomes, late, result.errors, problems=result.problems)


def _limiter(session: Session, change: Change, plan: Plan, on_event: OnEvent) -> Limiter:
    """Return what puts the firewall rules in force before anything is started, and removes them with the
    fleet. It only warns in `watch`, which alerts of it, and in commands that stop.
    """
    is_strict = change.needs_sound_configs and change.command != "watch"
    project = plan.snapshot.project
    return Limiter(session.engine(), project, lambda why: on_event(Warned(why)), is_strict=is_strict)


def _until_nothing_starts(run: _Run, starts: Starts) -> tuple[list[Outcome[Action]], ManagerError | None]:
    """Stop what has come up, until every start in progress has ended. Returns the outcomes."""
    outcomes: list[Outcome[Action]] = []
    while True:
        have_ended = starts.have_ended()
        time.sleep(stop_for_good.LIST_LAG_S)
        snapshot = run.session.observe()
        actions = planned_change.ours(snapshot, run.change.planner(snapshot, run.plan.named))
        again = [action for action in plans.effective(actions) if _is_worth_it(action, outcomes)]
        if again:
            outcomes += _carry_out(run, snapshot, again)
        elif have_ended:
            return outcomes, None
        elif starts.are_too_slow:
            return outcomes, starts.error()


def _is_worth_it(action: Action, outcomes: Sequence[Outcome[Action]]) -> bool:
    """Return whether to try it: each is stopped once more, and a stop that fails again is not repeated."""
    return not any(outcome.error and outcome.action.instance == action.instance for outcome in outcomes)


@contextmanager
def _network_removed(run: _Run) -> Iterator[None]:
    """Remove the network in the background: the engine needs time, in which the export is written."""
    from manager.util.threads import Deferred

    removal = Deferred(partial(fleet_network.remove_if_empty, run.session.engine(), run.fleet))
    try:
        yield
    finally:
        is_kept = removal.result()
    if is_kept:
        run.warn(
            Text(
                "the engine keeps the network {network}, though no container is in it; another `manager down`"
                " removes it later, and `up` uses it again",
                network=run.fleet.network,
            )
        )


def _look_after(
    session: Session, snapshot: FleetSnapshot, outcomes: Sequence[Outcome[Action]]
) -> FleetSnapshot:
    """Return a snapshot of the fleet afterwards."""
    if not outcomes:
        return snapshot
    from manager.ops.execution import wait

    started = [outcome.action.instance for outcome in outcomes if has_started(outcome)]
    hear = partial(wait.until_heard, snapshot.project.fleet, started)
    after = session.look_again(snapshot, hear, _only_touched(outcomes))
    return wait.until_listed_as_stopped(session, after, outcomes)


def _only_touched(outcomes: Sequence[Outcome[Action]]) -> list[str] | None:
    """Return the instances of a quick change that kept all containers; None if all must be observed again."""
    is_quick = len(outcomes) <= FEW and all(
        outcome.error is None and outcome.action.keeps_container and outcome.seconds < LOOK_HOLDS_S
        for outcome in outcomes
    )
    return [outcome.action.instance for outcome in outcomes] if is_quick else None


def _carry_out(
    run: _Run,
    snapshot: FleetSnapshot,
    actions: list[Action],
    called_off: Mapping[str, CalledOffBy] = NOTHING,
    gone: Sequence[Outcome[Action]] = (),
) -> list[Outcome[Action]]:
    """Run the actions. `called_off`: what was stopped or removed since it was given. `gone`: what is said of
    instances whose containers are gone; it is among the outcomes.
    """
    session, change, on_event = run.session, run.change, run.on_event
    asking = _asking(session, snapshot) if _may_ask(change, actions) else None
    down = asking.down_with_rest(actions) if asking is not None and change.command == "stop" else ()
    todo = [action for action in actions if action.kind != "leave" or action in down]
    named = {outcome.action.instance for outcome in gone}
    for action in actions:
        if action.kind == "leave" and action not in down and action.instance not in named:
            on_event(LeftAlone(action))
    for outcome in gone:
        on_event(ActionDone(outcome))
    if not todo and not (change.command == "stop" and actions):
        return [*gone]
    from manager.ops.checks import old_daemon_check  # with threads, YAML and more: a no-op does without them
    from manager.ops.execution import execute, outcome_notes, prepare

    refused = old_daemon_check.refused(snapshot, actions, on_event)
    in_use = {outcome.action.instance for outcome in refused}
    todo = [action for action in todo if action.instance not in in_use]
    refused = [*gone, *refused]
    if not todo:
        return refused
    context = prepare.gather(
        session,
        snapshot,
        todo,
        run.held,
        called_off_since=called_off,
        limit=run.limit,
        warn=run.warn,
        info=run.info,
    )
    if asking is not None:
        context = context._replace(has_unknown_rest=asking.has_unknown_rest, ask=asking.ask)

    def on_done(outcome: Outcome[Action]) -> None:
        desired_state.note_resumed(change, snapshot.project.fleet, outcome)
        on_event(ActionDone(outcome))

    on_event(ActionsStarted(todo))
    try:
        on_end = partial(outcome_notes.note, change.command, snapshot)
        return refused + execute.run(todo, context, on_done, on_end)
    finally:
        on_event(ActionsEnded())


def _info_for(session: Session, plan: Plan) -> Callable[[], Mapping[str, Any]] | None:
    """Ask the engine what it is, if the plan starts anything: an `up` with nothing to do asks nobody."""
    if not any(action.starts for action in plan.actions):
        return None
    return _info_meanwhile(session, plan.snapshot.project.fleet)


def _info_meanwhile(session: Session, fleet: Fleet) -> Callable[[], Mapping[str, Any]]:
    """Ask the engine what it is, which takes it longer than its list of containers, while other things are
    done: the fleet is looked at, or what is wanted is recorded and modules are loaded.
    """
    from manager.util.threads import Deferred

    return Deferred(session.engine(fleet.parallelism).info).result


def _may_ask(change: Change, actions: Sequence[Action]) -> bool:
    """Return whether a bot is taken down, or was before, that an exchange may be asked for."""
    return change.command == "stop" or any(action.kind in {"stop", "remove"} for action in actions)


def _asking(session: Session, snapshot: FleetSnapshot) -> "Asking":
    """Return what asks the exchanges for what bots have left that are taken down."""
    from manager.ops.exchange.asking import Asking

    return Asking(snapshot, session.engine())
