"""Run `start`: start instances that do not run."""

from __future__ import annotations

from manager.cli.carry_out import carry_out
from manager.cli.commands.build import with_image
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops.planning import changes
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace


def start(session: Session, args: Namespace) -> int:
    """Start instances that do not run; build the image first if there is none."""
    change = changes.start(Selection(args.ids, args.config))
    return with_image(session, args, lambda: carry_out(session, change, args))
