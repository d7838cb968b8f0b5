"""Run `plan`: show what `up` would do, and why."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.carry_out import show_plan
from manager.cli.commands.up import change
from manager.fleet.session import Session


def plan_(session: Session, args: Namespace) -> int:
    """Show what `up` would do, and why."""
    return show_plan(session, change(args), as_json=args.json, asks_exchanges=args.live)
