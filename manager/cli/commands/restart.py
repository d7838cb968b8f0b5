"""Run `restart`: stop and start instances."""

from __future__ import annotations

from manager.cli import confirm
from manager.cli.carry_out import carry_out
from manager.errors import FAILED
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import mark
from manager.ops.planning import changes
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

QUESTION = mark("restart the whole fleet, with {count} live bots ({ids})?")


def restart(session: Session, args: Namespace) -> int:
    """Stop and start instances."""
    if not confirm.stops_live_bots(session, args, QUESTION):
        return FAILED
    return carry_out(session, changes.restart(Selection(args.ids, args.config)), args)
