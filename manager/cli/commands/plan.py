"""`plan`: shows what `up` would do, and why."""

from __future__ import annotations

from manager.cli.commands.up import change
from manager.fleet.session import Session
from manager.ops.apply import perform


def plan_(session: Session) -> int:
    """Shows what `up` would do, and why."""
    session.args.dry_run = True
    return perform(session, change(session))
