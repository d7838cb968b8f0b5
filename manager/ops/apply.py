"""Carries out one changing command: look, plan, say, do, export."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from manager.errors import EngineUnreachable, ManagerError, worst_exit_code
from manager.fleet import instances_json, instances_json_refresh, lock, old_daemon_guard
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import require_known
from manager.fleet.session import Session, show_problems
from manager.ops import desired_state, plan, preflight, report, wait
from manager.ops.action import Action, Change
from manager.util import console

if TYPE_CHECKING:
    from manager.ops.execute import Outcome


FEW = 10
"""Instances. Of more it is as cheap to ask the engine for all."""
LOOK_HOLDS_S = 2.0
"""How long the others are taken to be as they were seen: the engine needs 10 ms to list a hundred."""


def put_back(session: Session, fallen: list[str]) -> int:
    """What `up` would start of these instances, as it is: for `watch`, which applies no config that nobody has asked for."""
    asked = {
        "ids": fallen, "config": [], "instance_id": None, "dry_run": False, "json": False, "lock_wait": 0.0,
        "project_dir": session.args.project_dir,
    }  # fmt: skip
    own = Session(Namespace(**asked))
    try:
        return perform(own, Change("watch", lambda snapshot, named: _starts(snapshot, named or [])))
    finally:
        own.close()


def _starts(snapshot: FleetSnapshot, named: list[str]) -> list[Action]:
    return [
        each
        for each in plan.up(snapshot.plan_input)
        if (each.kind == "start" or each.keeps_image) and each.instance in named
    ]


def perform(session: Session, change: Change) -> int:
    """Runs one changing command from the look to the exit code."""
    args = session.args
    if args.dry_run:
        snapshot = _look(session, change)
        return report.say_plan(session, snapshot, _planned(session, change, snapshot)[0])
    fleet = session.project().fleet
    force = getattr(args, "force", False)
    with lock.held(fleet.lock_file, change.command, args.lock_wait, force=force) as held:
        held.settle()
        if args.instance_id and args.config:
            desired_state.name_instance(session)
        snapshot = _look(session, change)
        actions, named = _planned(session, change, snapshot)
        if held.was_passed():
            raise ManagerError("the fleet was stopped by force meanwhile; nothing was done")
        unsaved = desired_state.save_wish(
            change, snapshot, desired_state.memory_after(change, snapshot, actions, named)
        )
        outcomes = _carry_out(session, change, snapshot, actions, held)
        is_all = change.command == "down" and named is None
        with _network_removed(session, fleet.network) if is_all else nullcontext():
            after = _looked_after(session, snapshot, actions, outcomes)
            instances_json_refresh.write(after)
    failed = {outcome.action.instance for outcome in outcomes if outcome.error is not None}
    left = {each.instance for each in actions if each.kind == "leave"}
    dead = {each for each in left if after.views[each].verdict.state == "failed"}
    after, late = _wait(session, after, (left - dead) | failed)
    code = report.say_outcomes(session, after, actions, outcomes, late)
    if not change.needs_sound_configs:
        show_problems(after.project)
    if unsaved is not None:
        console.error(unsaved)
        return worst_exit_code([code, unsaved.exit_code])
    return code


@contextmanager
def _network_removed(session: Session, network: str) -> Iterator[None]:
    """The engine takes its time to remove a network, in which the export is written."""
    from manager.util.threads import Deferred

    removal = Deferred(partial(session.engine().remove_network_if_empty, network))
    try:
        yield
    finally:
        removal.result()


def _looked_after(
    session: Session, snapshot: FleetSnapshot, actions: list[Action], outcomes: list[Outcome]
) -> FleetSnapshot:
    """The fleet after all that; what was done before the engine went is said all the same."""
    if not outcomes:
        return snapshot
    started = [each.action.instance for each in outcomes if each.has_started]
    try:
        return session.look_again(
            snapshot, lambda: wait.until_heard(snapshot.project.fleet, started), _only_touched(outcomes)
        )
    except EngineUnreachable:
        report.say_outcomes(session, snapshot, actions, outcomes, [])
        raise


def _only_touched(outcomes: list[Outcome]) -> list[str] | None:
    """The instances of a quick change that has made and removed no container; None where everything is to be looked at."""
    is_quick = len(outcomes) <= FEW and all(
        each.error is None and each.action.keeps_container and each.seconds < LOOK_HOLDS_S
        for each in outcomes
    )
    return [each.action.instance for each in outcomes] if is_quick else None


def _look(session: Session, change: Change) -> FleetSnapshot:
    snapshot = session.observe()
    snapshot.require_ours()
    if change.needs_sound_configs:
        preflight.require_sound(session, snapshot)
    return snapshot


def _planned(
    session: Session, change: Change, snapshot: FleetSnapshot
) -> tuple[list[Action], list[str] | None]:
    named = snapshot.project.select(session.args.ids, session.args.config)
    for each in named or ():
        require_known(each, snapshot)
        if change.needs_sound_configs:
            preflight.require_config(each, snapshot)
    return change.planner(snapshot, named), named


def _carry_out(
    session: Session, change: Change, snapshot: FleetSnapshot, actions: list[Action], held: lock.Held
) -> list[Outcome]:
    todo = plan.effective(actions)
    for action in actions:
        if action.kind == "leave" and not session.as_json:
            console.say(report.action_line(action))
    if not todo and not (change.command == "stop" and actions):
        return []
    from manager.ops import (
        execute,  # with thread pools, YAML and more: a no-op does without them
        prepare,
    )

    elsewhere = old_daemon_guard.still_running(
        snapshot, [each.instance for each in actions if each.kind != "remove"]
    )
    refused = [
        execute.Outcome(each, 0.0, elsewhere[each.instance]) for each in actions if each.instance in elsewhere
    ]
    for outcome in refused:
        _say_done(session, outcome)
    todo = [each for each in todo if each.instance not in elsewhere]
    if not todo:
        return refused
    gathered = prepare.gather(session, snapshot, todo, held)
    if not sys.stdout.isatty() or session.as_json:
        return refused + execute.run(todo, gathered, lambda outcome: _say_done(session, outcome))
    from manager.util.progress_line import Progress

    with Progress(each.instance for each in todo) as progress:
        return refused + execute.run(
            todo, gathered, lambda each: progress.done(each.action.instance, report.outcome_line(each))
        )


def _say_done(session: Session, outcome: Outcome) -> None:
    if not session.as_json:
        console.say(report.outcome_line(outcome))


def _wait(session: Session, snapshot: FleetSnapshot, excepted: set[str]) -> tuple[FleetSnapshot, list[str]]:
    """With --wait: until everything that should run is healthy, and with the lock given back: a person may want to stop it.

    Returns the fleet as it then is, and the instances that did not get there in time.
    """
    if not getattr(session.args, "wait", False):
        return snapshot, []
    named = snapshot.project.select(session.args.ids, session.args.config)
    ids = [each for each in (snapshot.plan_input.wanted if named is None else named) if each not in excepted]
    after, late = wait.until_healthy(session, snapshot, ids, session.args.wait_timeout, quiet=session.as_json)
    instances_json_refresh.refresh(session, after, instances_json.bot_pids(after))
    return after, late
