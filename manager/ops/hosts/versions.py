"""Say that another machine's manager has another version than this one, and which command ends that."""

from __future__ import annotations

import re
from contextlib import suppress

from manager import __version__
from manager.errors import ManagerError
from manager.i18n import Text
from manager.ops.hosts import ssh
from manager.ops.hosts.registry import Host

WITHIN_S = 30.0
VERSION = re.compile(r"botfleet (\S+)")
EARLIER = "?"
"""What stands for a version that a manager does not tell: only earlier ones do not."""


def difference(host: str, there: str) -> Text | None:
    """Return what to say of a machine that has this version; None if it is this one's."""
    values = {"host": host, "there": there, "here": __version__}
    if there == __version__:
        return None
    if there == EARLIER:
        return Text(
            "host {host} has an earlier manager than this one, {here}: `manager host deploy {host}` updates"
            " it",
            **values,
        )
    if _numbers(there) > _numbers(__version__):
        return Text(
            "host {host} has manager {there}, and here is the earlier {here}: update this one;"
            " `manager host deploy {host}` would bring {here} there",
            **values,
        )
    return Text(
        "host {host} has manager {there}, and here is {here}: `manager host deploy {host}` brings {here}"
        " there",
        **values,
    )


def ask(host: Host) -> Text | None:
    """Return the same of a machine that is asked now; None also if it does not tell."""
    with suppress(ManagerError):
        if match := VERSION.search(ssh.run(host, ["--version"], WITHIN_S).out):
            return difference(host.name, match[1])
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
