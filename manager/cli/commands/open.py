"""Run `open`: an instance's web page."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import FAILED, OK, UsageError
from manager.fleet.selection import Selection, require_running, selected
from manager.fleet.session import Session
from manager.i18n import _
from manager.util import console


def open_(session: Session, args: Namespace) -> int:
    """Print the address of an instance's web page, and open it in the browser."""
    if not (args.ids or args.config):
        raise UsageError("specify an instance: `manager open ID`")
    snapshot = session.observe()
    views = selected(Selection(args.ids, args.config), snapshot)
    for view in views:
        require_running(view)
    addresses = {
        view.id: snapshot.project.fleet.web_address(view.web_port) for view in views if view.web_port
    }
    if args.json:
        console.say_json([{"id": instance, "url": url} for instance, url in addresses.items()])
    for instance, url in addresses.items():
        if not args.json:
            console.say(url if len(addresses) == 1 else f"{instance}  {url}")
        if not (args.print or args.json) and not _open(url):
            console.warning(_("cannot start a browser; open the address yourself, or use --print"))
            return FAILED
    return OK


def _open(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)
