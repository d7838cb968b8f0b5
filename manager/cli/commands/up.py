"""`up`: brings the fleet to what its configs say."""

from __future__ import annotations

from manager.cli.commands.build import with_image
from manager.fleet.session import Session
from manager.ops import plan
from manager.ops.action import Change
from manager.ops.apply import perform


def up(session: Session) -> int:
    """Brings the fleet to what its configs say; the image too, where there is none."""
    return with_image(session, lambda: perform(session, change(session)))


def change(session: Session) -> Change:
    """What `up` plans and wishes; `plan` shows it."""
    recreate, orphans = session.args.recreate, session.args.remove_orphans
    return Change(
        "up",
        lambda snapshot, named: plan.up(
            snapshot.plan_input, named, recreate=recreate, remove_orphans=orphans
        ),
        "run" if session.args.ids or session.args.config else None,
    )
