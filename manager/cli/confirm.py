"""Asks before a command stops a whole fleet that trades with real money. `--yes` and a pipe are not asked, and `halt` never asks."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import EngineError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.util import prompt


def stops_live_bots(session: Session, args: Namespace, question: str) -> bool:
    """Return whether the command may go on. `question` has `{count}` and `{ids}` of the live bots that run."""
    if args.yes or args.ids or args.config or args.dry_run or args.json or not prompt.is_possible():
        return True
    try:
        session.project_to_halt()
        live = [container.instance for container in session.observe().trading(())]
    except EngineError:  # said by the command itself
        return True
    return not live or prompt.confirm(Text(question, count=len(live), ids=", ".join(live)))
