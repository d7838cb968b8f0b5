"""`plan`: shows what `up` would do, and why."""

from __future__ import annotations

from manager.cli.commands.up import change
from manager.fleet.session import Context
from manager.ops.apply import perform


def plan_(context: Context) -> int:
    """Shows what `up` would do, and why."""
    context.args.dry_run = True
    return perform(context, change(context))
