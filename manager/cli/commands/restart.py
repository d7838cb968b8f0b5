"""`restart`: stops and starts instances."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops import changes


def restart(session: Session, args: Namespace) -> int:
    """Stop and start instances."""
    return carry_out(session, changes.restart(Selection(args.ids, args.config)), args)
