"""`resume`: starts exactly what ran when the fleet was halted."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.errors import OK
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import _
from manager.ops import changes
from manager.util import console


def resume(session: Session, args: Namespace) -> int:
    """Start exactly what ran when the fleet was halted."""
    change = changes.resume(session.project(), Selection(args.ids, args.config), console.warning)
    if change is not None:
        return carry_out(session, change, args)
    if args.json:
        console.say_json([])
    else:
        console.say(_("nothing is halted; `manager up` starts what should run"))
    return OK
