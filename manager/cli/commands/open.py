"""`open`: to an instance's web page."""

from __future__ import annotations

from manager.errors import FAILED, OK, UsageError
from manager.fleet.selection import require_running, selected
from manager.fleet.session import Context
from manager.i18n import _
from manager.util import console


def open_(context: Context) -> int:
    """Shows where an instance's web page is, and opens it in the browser."""
    if not (context.args.ids or context.args.config):
        raise UsageError("open what? `manager open ID`")
    survey = context.survey()
    views = selected(context, survey)
    for view in views:
        require_running(view)
    found = {view.id: survey.project.fleet.web_address(view.web_port) for view in views if view.web_port}
    if context.as_json:
        console.say_json([{"id": each, "url": url} for each, url in found.items()])
    for each, url in found.items():
        if not context.as_json:
            console.say(url if len(found) == 1 else f"{each}  {url}")
        if not (context.args.print or context.as_json) and not _open(url):
            console.warning(_("no browser could be started; open the address by hand, or use --print"))
            return FAILED
    return OK


def _open(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)
