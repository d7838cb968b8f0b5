"""`watch`: the resident."""

from __future__ import annotations

from manager.errors import OK, Locked
from manager.fleet import lock
from manager.fleet.session import Context
from manager.i18n import _
from manager.util import console


def watch(context: Context) -> int:
    """Watches the fleet until SIGTERM or Ctrl-C."""
    from manager.monitor.watch.loop import Watch

    fleet = context.project().fleet
    try:
        with lock.held(fleet.watch_lock_file, "watch"):
            Watch(context).run()
    except Locked as error:
        raise Locked("{holder} watches this fleet already", holder=error.params["holder"]) from error
    console.say(_("watching ends"))
    return OK
