"""`start`: starts instances that do not run."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops import changes


def start(session: Session, args: Namespace) -> int:
    """Start instances that do not run."""
    return carry_out(session, changes.start(Selection(args.ids, args.config)), args)
