"""`watch`: the resident."""

from __future__ import annotations

from manager.errors import OK, Locked
from manager.fleet import lock
from manager.fleet.session import Session
from manager.i18n import _
from manager.util import console


def watch(session: Session) -> int:
    """Watches the fleet until SIGTERM or Ctrl-C."""
    from manager.monitor.watch.loop import Watch

    fleet = session.project().fleet
    try:
        with lock.held(fleet.watch_lock_file, "watch"):
            Watch(session).run()
    except Locked as error:
        raise Locked("{holder} watches this fleet already", holder=error.params["holder"]) from error
    console.say(_("watching ends"))
    return OK
