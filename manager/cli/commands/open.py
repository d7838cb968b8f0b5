"""`open`: to an instance's web page."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import FAILED, OK, UsageError
from manager.fleet.selection import Selection, require_running, selected
from manager.fleet.session import Session
from manager.i18n import _
from manager.util import console


def open_(session: Session, args: Namespace) -> int:
    """Shows where an instance's web page is, and opens it in the browser."""
    if not (args.ids or args.config):
        raise UsageError("specify an instance: `manager open ID`")
    snapshot = session.observe()
    views = selected(Selection(args.ids, args.config), snapshot)
    for view in views:
        require_running(view)
    found = {view.id: snapshot.project.fleet.web_address(view.web_port) for view in views if view.web_port}
    if args.json:
        console.say_json([{"id": each, "url": url} for each, url in found.items()])
    for each, url in found.items():
        if not args.json:
            console.say(url if len(found) == 1 else f"{each}  {url}")
        if not (args.print or args.json) and not _open(url):
            console.warning(_("cannot start a browser; open the address yourself, or use --print"))
            return FAILED
    return OK


def _open(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)
