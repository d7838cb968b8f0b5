"""`start`: starts instances that do not run."""

from __future__ import annotations

from manager.cli.commands.build import with_image
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def start(session: Session) -> int:
    """Starts instances that do not run."""
    change = Change(
        "start", lambda snapshot, named: plan.start(snapshot.plan_input, _all(snapshot, named)), "run"
    )
    return with_image(session, lambda: perform(session, change))


def _all(snapshot: FleetSnapshot, named: list[str] | None) -> list[str]:
    return list(snapshot.plan_input.wanted) if named is None else named
