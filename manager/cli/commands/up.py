"""Run `up`: create and start the fleet as its configs describe."""

from __future__ import annotations

from manager.cli.carry_out import carry_out
from manager.cli.commands.build import with_image
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops.actions.action import Change
from manager.ops.planning import changes
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace


def up(session: Session, args: Namespace) -> int:
    """Create and start the fleet as its configs describe; build the image first if there is none."""
    return with_image(session, args, lambda: carry_out(session, change(args), args))


def change(args: Namespace) -> Change:
    """Return the change that `up` makes, and that `plan` shows."""
    selection = Selection(args.ids, args.config)
    return changes.up(selection, recreate=args.recreate, remove_orphans=args.remove_orphans)
