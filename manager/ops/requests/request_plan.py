"""Apply the exchanges' request limits to a command's plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from manager.config import request_limits
from manager.fleet.observe import FleetSnapshot
from manager.ops.actions.action import Action
from manager.ops.actions.events import OnEvent, Warned
from manager.ops.requests import request_budget
from manager.ops.requests.request_budget import Load


def within_limits(snapshot: FleetSnapshot, actions: Sequence[Action], on_event: OnEvent) -> list[Action]:
    """Leave the live bots that would exceed a limit, and warn of each limit that is nearly reached."""
    table = request_limits.load(snapshot.project.fleet)
    asking = request_budget.callers(snapshot, table)
    settled = request_budget.refuse(asking, up(snapshot), actions, table)
    for load in loads_after(snapshot, settled):
        if load.used >= request_budget.WARN_AT:
            on_event(Warned(load.text()))
    return settled


def loads_after(snapshot: FleetSnapshot, actions: Sequence[Action]) -> list[Load]:
    """Return the load on each limit once these actions are done."""
    table = request_limits.load(snapshot.project.fleet)
    running = running_after(snapshot, actions)
    asking = request_budget.callers(snapshot, table)
    return request_budget.loads((asking[instance] for instance in asking if instance in running), table)


def loads_of_all(snapshot: FleetSnapshot) -> list[Load]:
    """Return the load on each limit when everything runs."""
    table = request_limits.load(snapshot.project.fleet)
    return request_budget.loads(request_budget.callers(snapshot, table).values(), table)


def running_after(snapshot: FleetSnapshot, actions: Iterable[Action]) -> set[str]:
    """Return the instances whose bots run once these actions are done."""
    return request_budget.running_after(up(snapshot), actions)


def up(snapshot: FleetSnapshot) -> set[str]:
    """Return the instances whose bots run."""
    return {instance for instance in snapshot.plan_input.containers if snapshot.plan_input.is_up(instance)}
