"""`down`: stops and removes containers; data stays."""

from __future__ import annotations

from manager.fleet.session import Session
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def down(session: Session) -> int:
    """Stops and removes containers; data stays."""
    orphans = session.args.remove_orphans
    change = Change(
        "down",
        lambda snapshot, named: plan.down(snapshot.plan_input, named, remove_orphans=orphans),
        needs_sound_configs=False,
    )
    return perform(session, change)
