"""`exec`, `open`: into an instance's container, and to its web page."""

from __future__ import annotations

import os
import shutil
import sys

from manager.cli.commands.show import require_known, selected
from manager.errors import FAILED, OK, ManagerError, UsageError
from manager.fleet.instance import InstanceView
from manager.fleet.session import Context
from manager.i18n import Text, _
from manager.util import console

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""What a person types into: bash where the image has it."""


def exec_(context: Context) -> int:
    """Becomes `docker exec`, whose exit code is the command's. Does not return."""
    survey = context.survey()
    instance, command = context.args.instance, list(context.args.arguments)
    if command[:1] == ["--"]:
        command = command[1:]
    require_known(instance, survey)
    view = survey.views[instance]
    _require_running(view)
    if shutil.which("docker") is None:
        raise ManagerError(
            "there is no docker command, which `manager exec` becomes; install the docker client"
        )
    assert view.container is not None
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = ["docker", "exec", "-it" if is_terminal else "-i", view.container.id, *(command or SHELL)]
    sys.stdout.flush()
    os.execvp("docker", words)  # nothing of ours is between the terminal and the command


def open_(context: Context) -> int:
    """Shows where an instance's web page is, and opens it in the browser."""
    if not (context.args.ids or context.args.config):
        raise UsageError("open what? `manager open ID`")
    survey = context.survey()
    views = selected(context, survey)
    for view in views:
        _require_running(view)
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


def _require_running(view: InstanceView) -> None:
    if view.container is not None and view.container.engine_state == "paused":
        raise ManagerError(
            "{id} is paused; `docker unpause {name}` lets it go on", id=view.id, name=view.container.name
        )
    if view.container is None or view.container.engine_state != "running":
        state = Text(view.verdict.state)
        raise ManagerError(
            "{id} is not running ({state}); start it: `manager start {id}`", id=view.id, state=state
        )
