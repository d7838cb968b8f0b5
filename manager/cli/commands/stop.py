"""`stop`: stops instances and keeps them stopped."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops import changes


def stop(session: Session, args: Namespace) -> int:
    """Stop instances and keep them stopped."""
    return carry_out(session, changes.stop(Selection(args.ids, args.config)), args)
