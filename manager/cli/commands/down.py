"""`down`: stops and removes containers; data stays."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import carry_out
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.ops import changes


def down(session: Session, args: Namespace) -> int:
    """Stop and remove containers; data stays."""
    change = changes.down(Selection(args.ids, args.config), remove_orphans=args.remove_orphans)
    return carry_out(session, change, args)
