"""Run `top`: the fleet full-screen, live."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from manager.errors import OK, UsageError, worst_exit_code
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text
from manager.util import console

if TYPE_CHECKING:
    from manager.monitor.top.app import Top


def top(session: Session, args: Namespace) -> int:
    """Show the fleet until the user quits."""
    _require_terminal()
    interval = args.interval
    from manager.monitor.top.source import Source

    source = Source(session, Selection(args.ids, args.config), interval)
    source.require_known()
    from manager.monitor.top.app import Top

    app = Top(session.chosen_dir, source, interval)
    app.run()
    if app.bug is not None:
        raise app.bug
    return _finish(app)


def _require_terminal() -> None:
    """Raise UsageError without a terminal: the screen is drawn on standard error, keys come from standard
    input.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams) or os.environ.get("TERM", "dumb") in {"", "dumb"}:
        raise UsageError(
            "`manager top` needs a terminal; `manager stats` shows the same once, also in a pipe"
        )


def _finish(app: Top) -> int:
    """Wait for commands that still run, and print their output. Ctrl-C lets them continue alone."""
    codes = [OK]
    for command in app.running:
        console.say(
            Text(
                "{command} is still running; waiting for it (Ctrl-C leaves it running)", command=command.title
            )
        )
        codes.append(command.wait())
        for line in command.new_lines():
            console.say(line)
    return worst_exit_code(codes)
