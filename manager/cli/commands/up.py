"""`up`: brings the fleet to what its configs say."""

from __future__ import annotations

from manager.fleet.session import Context
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def up(context: Context) -> int:
    """Brings the fleet to what its configs say."""
    return perform(context, change(context))


def change(context: Context) -> Change:
    """What `up` plans and wishes; `plan` shows it."""
    recreate, orphans = context.args.recreate, context.args.remove_orphans
    return Change(
        "up",
        lambda survey, named: plan.up(survey.situation, named, recreate=recreate, remove_orphans=orphans),
        "run" if context.args.ids or context.args.config else None,
    )
