"""`down`: stops and removes containers; data stays."""

from __future__ import annotations

from manager.fleet.session import Context
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def down(context: Context) -> int:
    """Stops and removes containers; data stays."""
    orphans = context.args.remove_orphans
    change = Change(
        "down",
        lambda survey, named: plan.down(survey.situation, named, remove_orphans=orphans),
        needs_sound_configs=False,
    )
    return perform(context, change)
