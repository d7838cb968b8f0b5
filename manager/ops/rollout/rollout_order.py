"""Determine the order of a roll-out, or every reason why it cannot begin. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from manager.errors import ConfigError, Problem
from manager.fleet import upgrade_records
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import EVERYTHING, Selection, require_known
from manager.fleet.session import Session
from manager.fleet.snapshot import PlanInput
from manager.ops.actions.action import Action
from manager.ops.actions.events import Warned
from manager.ops.checks import preflight, start_checks
from manager.ops.planning import moved_away, untrusted
from manager.ops.rollout import rollout_plan
from manager.ops.rollout.rollout_events import OnRolloutEvent
from manager.typed import NamedTuple


class Request(NamedTuple):
    """Hold the options of an upgrade. `canary`, `batch`: None for our own choice.

    `ready`: seconds that each must be healthy without a restart; `healthy_within`: the time limit for that.
    """

    selection: Selection = EVERYTHING
    canary: str | None = None
    batch: int | None = None
    ready: float = 30.0
    healthy_within: float = 120.0


class Order(NamedTuple):
    """Hold who is upgraded, in batches with the canary first, and who is left as it is."""

    batches: Sequence[Sequence[Action]]
    left: Sequence[Action]


def planned(session: Session, request: Request, on_event: OnRolloutEvent) -> Order:
    """Return the order in which instances would be upgraded. Raises ManagerError for every problem."""
    snapshot = look(session, request, on_event)
    return order(request, snapshot, upgrade_records.load(snapshot.project.fleet), on_event)


def look(session: Session, request: Request, on_event: OnRolloutEvent) -> FleetSnapshot:
    """Observe the fleet. Raises ConfigError if a config that concerns the roll-out is invalid."""
    snapshot = session.observe()
    snapshot.require_ours()
    named = request.selection.named(snapshot.project)
    for warning in snapshot.project.warnings_of(named):
        on_event(Warned(warning))
    if named is None:  # a roll-out stops at the first failure, so it begins with none
        preflight.require_all_sound(snapshot)
    else:
        preflight.require_sound(snapshot, named)
    return snapshot


def order(
    request: Request,
    snapshot: FleetSnapshot,
    records: upgrade_records.Steps,
    on_event: OnRolloutEvent,
) -> Order:
    """Return the batches. Every problem is raised before the first instance is touched."""
    plan_input = snapshot.plan_input
    named = request.selection.named(snapshot.project)
    for instance in named or ():
        require_known(instance, snapshot)
        preflight.require_config(instance, snapshot)
    rollout = _trusted(rollout_plan.plan(plan_input, records, named), plan_input, named or ())
    interrupted = [instance for instance, record in records.items() if record.phase == "going"]
    batches = rollout_plan.batches(rollout.todo, plan_input, interrupted, request.canary, request.batch)
    problems = rollout_plan.port_problems(rollout.todo, plan_input)
    upgraded: list[str] = []
    for batch in batches:  # the new beside the old ones: at no moment may two share an account
        upgraded += [action.instance for action in batch]
        beside = snapshot.conflicts(upgraded, is_upgrade=True)
        problems += [problem for problem in beside if problem not in problems]
    problems += [
        Problem(snapshot.project.specs[action.instance].config_file, "exchange_config", action.cause)
        for action in start_checks.of_accounts(snapshot, rollout.todo, (), on_event)
        if action.is_refused
    ]
    if problems:
        raise ConfigError(problems)
    return Order(batches, rollout.left)


def _trusted(rollout: rollout_plan.Plan, plan_input: PlanInput, named: Collection[str]) -> rollout_plan.Plan:
    """Return the plan without the instances whose config is refused, which are left as they are."""
    result = rollout_plan.Plan([], moved_away.settle(plan_input, rollout.left, named))
    for action in rollout.todo:
        if action.instance in plan_input.tombstones:
            result.left.extend(moved_away.settle(plan_input, [action], named))
        elif action.kind in {"create", "recreate"} and action.instance in plan_input.untrusted:
            result.left.append(untrusted.left(plan_input, action.instance))
        else:
            result.todo.extend(untrusted.settle(plan_input, [action]))
    return result
