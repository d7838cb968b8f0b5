"""Run `exec`: a command in an instance's container."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace

from manager.errors import ManagerError
from manager.fleet.selection import require_known, require_running
from manager.fleet.session import Session

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""An interactive shell: bash if the image has it."""


def exec_(session: Session, args: Namespace) -> int:
    """Replace this process by `docker exec`, whose exit code is the command's. Does not return."""
    snapshot = session.observe()
    instance, command = args.instance, list(args.arguments)
    if command[:1] == ["--"]:
        command = command[1:]
    require_known(instance, snapshot)
    view = snapshot.views[instance]
    require_running(view)
    if shutil.which("docker") is None:
        raise ManagerError("`manager exec` needs the docker command; install the docker client")
    assert view.container is not None
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = ["docker", "exec", "-it" if is_terminal else "-i", view.container.id, *(command or SHELL)]
    sys.stdout.flush()
    os.execvp("docker", words)  # nothing of ours is between the terminal and the command
