"""`stop`: stops instances and keeps them stopped."""

from __future__ import annotations

from manager.fleet.session import Session
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def stop(session: Session) -> int:
    """Stops instances and keeps them stopped."""
    change = Change(
        "stop",
        lambda snapshot, named: plan.stop(snapshot.plan_input, named),
        "stopped",
        needs_sound_configs=False,
    )
    return perform(session, change)
