"""`restart`: stops and starts instances."""

from __future__ import annotations

from manager.fleet.session import Session
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def restart(session: Session) -> int:
    """Stops and starts instances."""
    return perform(
        session, Change("restart", lambda snapshot, named: plan.restart(snapshot.plan_input, named), "run")
    )
