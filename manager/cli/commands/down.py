"""Run `down`: stop and remove containers; data stays."""

from __future__ import annotations

from argparse import Namespace

from manager.cli import confirm
from manager.cli.carry_out import carry_out
from manager.errors import FAILED
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import mark
from manager.ops.planning import changes

QUESTION = mark("stop and remove the whole fleet, with {count} live bots ({ids})?")


def down(session: Session, args: Namespace) -> int:
    """Stop and remove containers; data stays."""
    if not confirm.stops_live_bots(session, args, QUESTION):
        return FAILED
    change = changes.down(Selection(args.ids, args.config), remove_orphans=args.remove_orphans)
    return carry_out(session, change, args)
