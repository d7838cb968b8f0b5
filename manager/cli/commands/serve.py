"""Run `serve`: the fleet's page and its API, in the foreground."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec

from manager.errors import OK, ManagerError
from manager.fleet.session import Session
from manager.i18n import _
from manager.util import console

NEEDED = ("fastapi", "uvicorn")


def serve(session: Session, args: Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    if not all(map(find_spec, NEEDED)):
        raise ManagerError(
            "`manager serve` needs the packages of the extra `web`: pip install 'botfleet[web]'"
        )
    from manager.web import server  # most of a second, needed by this command alone

    host, port = args.listen
    server.serve(session, host, port, console.say)
    console.say(_("serve has stopped"))
    return OK
