"""Run `stop`: stop instances and keep them stopped."""

from __future__ import annotations

from argparse import Namespace

from manager.cli import confirm
from manager.cli.carry_out import carry_out
from manager.errors import FAILED
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import mark
from manager.ops.planning import changes

QUESTION = mark("stop the whole fleet, with {count} live bots ({ids})?")


def stop(session: Session, args: Namespace) -> int:
    """Stop instances and keep them stopped."""
    if not confirm.stops_live_bots(session, args, QUESTION):
        return FAILED
    return carry_out(session, changes.stop(Selection(args.ids, args.config)), args)
