"""Carries out one changing command: look, plan, do, look again, export. Tells what happens by events, and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

from manager.errors import EngineUnreachable, ManagerError
from manager.fleet import instances_json, instances_json_refresh, lock
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import require_known
from manager.fleet.session import Session
from manager.ops import desired_state, plan, preflight
from manager.ops.action import Action, Change, Outcome, has_started
from manager.ops.events import ActionDone, ActionsEnded, ActionsStarted, LeftAlone, OnEvent, Warned
from manager.ops.result import Planned, Result

FEW = 10
"""Instances. Of more it is as cheap to ask the engine for all."""
LOOK_HOLDS_S = 2.0
"""How long the others are taken to be as they were seen: the engine needs 10 ms to list a hundred."""


def planned(session: Session, change: Change, on_event: OnEvent) -> Planned:
    """Return what the change would do now. Raises ManagerError for what keeps it from being done."""
    snapshot, actions, _named = _plan(session, change, on_event)
    return Planned(snapshot, actions)


def apply(
    session: Session,
    change: Change,
    on_event: OnEvent,
    *,
    lock_wait: float = 0.0,
    force: bool = False,
    new_id: str | None = None,
    healthy_within: float | None = None,
) -> Result:
    """Carry out the change under the fleet's lock. Raises ManagerError for what keeps it from being begun.

    `force` passes the lock that another manager holds. `new_id`: the id that the instance of the one selected config file
    bears from now on. `healthy_within`: waits so many seconds until everything that should run is healthy.
    """
    fleet = session.project().fleet
    with lock.held(fleet.lock_file, change.command, lock_wait, force=force) as held:
        held.settle()
        if new_id:
            desired_state.name_instance(session, change.selection.files, new_id)
        snapshot, actions, named = _plan(session, change, on_event)
        if held.was_passed():
            raise ManagerError("the fleet was stopped by force meanwhile; nothing was done")
        unsaved = desired_state.save_wish(
            change, snapshot, desired_state.memory_after(change, snapshot, actions, named)
        )
        outcomes = _carry_out(session, change, snapshot, actions, held, on_event)
        is_all = change.command == "down" and named is None
        try:
            with _network_removed(session, fleet.network) if is_all else nullcontext():
                after = _look_after(session, snapshot, outcomes)
                instances_json_refresh.write(after, lambda why: on_event(Warned(why)))
        except EngineUnreachable as error:  # what was done before is said all the same
            return Result(snapshot, actions, outcomes, unsaved=unsaved, engine_error=error)
    if healthy_within is None:
        return Result(after, actions, outcomes, unsaved=unsaved)
    from manager.ops import wait

    ids = _to_wait_for(after, actions, outcomes, named)
    after, late = wait.until_healthy(session, after, ids, healthy_within, on_event)
    instances_json_refresh.refresh(
        session, after, instances_json.find_pids(after), lambda why: on_event(Warned(why))
    )
    return Result(after, actions, outcomes, late, unsaved)


def _plan(
    session: Session, change: Change, on_event: OnEvent
) -> tuple[FleetSnapshot, list[Action], list[str] | None]:
    """Look at the fleet and plan. Returns the named instances too, None for the whole fleet."""
    snapshot = session.observe()
    snapshot.require_ours()
    if change.needs_sound_configs:
        for warning in snapshot.project.warnings:
            on_event(Warned(warning))
        named = change.selection.named(snapshot.project)
        preflight.require_sound(snapshot, named)
    else:
        named = change.selection.named(snapshot.project)
    for instance in named or ():
        require_known(instance, snapshot)
        if change.needs_sound_configs:
            preflight.require_config(instance, snapshot)
    return snapshot, change.planner(snapshot, named), named


@contextmanager
def _network_removed(session: Session, network: str) -> Iterator[None]:
    """Remove the network beside the block: the engine takes its time, in which the export is written."""
    from manager.util.threads import Deferred

    removal = Deferred(partial(session.engine().remove_network_if_empty, network))
    try:
        yield
    finally:
        removal.result()


def _look_after(
    session: Session, snapshot: FleetSnapshot, outcomes: Sequence[Outcome[Action]]
) -> FleetSnapshot:
    """Return the fleet after all that."""
    if not outcomes:
        return snapshot
    from manager.ops import wait

    started = [outcome.action.instance for outcome in outcomes if has_started(outcome)]
    return session.look_again(
        snapshot, lambda: wait.until_heard(snapshot.project.fleet, started), _only_touched(outcomes)
    )


def _only_touched(outcomes: Sequence[Outcome[Action]]) -> list[str] | None:
    """Return the instances of a quick change that has made and removed no container; None where everything is to be looked at."""
    is_quick = len(outcomes) <= FEW and all(
        outcome.error is None and outcome.action.keeps_container and outcome.seconds < LOOK_HOLDS_S
        for outcome in outcomes
    )
    return [outcome.action.instance for outcome in outcomes] if is_quick else None


def _carry_out(
    session: Session,
    change: Change,
    snapshot: FleetSnapshot,
    actions: list[Action],
    held: lock.Held,
    on_event: OnEvent,
) -> list[Outcome[Action]]:
    todo = plan.effective(actions)
    for action in actions:
        if action.kind == "leave":
            on_event(LeftAlone(action))
    if not todo and not (change.command == "stop" and actions):
        return []
    from manager.fleet import old_daemon_guard
    from manager.ops import execute, prepare  # with threads, YAML and more: a no-op does without them

    in_use = old_daemon_guard.still_running(
        snapshot, [action.instance for action in actions if action.kind != "remove"]
    )
    refused = [
        Outcome(action, error=in_use[action.instance]) for action in actions if action.instance in in_use
    ]
    for outcome in refused:
        on_event(ActionDone(outcome))
    todo = [action for action in todo if action.instance not in in_use]
    if not todo:
        return refused
    context = prepare.gather(session, snapshot, todo, held)
    on_event(ActionsStarted(todo))
    try:
        return refused + execute.run(todo, context, lambda outcome: on_event(ActionDone(outcome)))
    finally:
        on_event(ActionsEnded())


def _to_wait_for(
    after: FleetSnapshot,
    actions: Sequence[Action],
    outcomes: Sequence[Outcome[Action]],
    named: list[str] | None,
) -> list[str]:
    """Return those that should run: neither left alone, unless they are dead, nor failed to be started."""
    left = {action.instance for action in actions if action.kind == "leave"}
    dead = {instance for instance in left if after.views[instance].verdict.state == "failed"}
    failed = {outcome.action.instance for outcome in outcomes if outcome.error is not None}
    meant = after.plan_input.wanted if named is None else named
    return [instance for instance in meant if instance not in (left - dead) | failed]
