"""Ask for confirmation before a fleet with live bots is stopped.

Not with `--yes`, not in a pipe, never for `halt`.
"""

from __future__ import annotations

from argparse import Namespace

from manager.errors import EngineError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.util import prompt


def stops_live_bots(session: Session, args: Namespace, question: str) -> bool:
    """Return whether the command may continue.

    `question` has `{count}` and `{ids}` of the running live bots.
    """
    if args.yes or args.ids or args.config or args.dry_run or args.json or not prompt.is_possible():
        return True
    try:
        session.project_to_halt()
        live = [container.instance for container in session.observe().trading(())]
    except EngineError:  # said by the command itself
        return True
    return not live or prompt.confirm(Text(question, count=len(live), ids=", ".join(live)))
