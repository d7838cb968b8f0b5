"""Describe what uses a port of the host, so that the user can free it."""

from __future__ import annotations

from itertools import pairwise

from manager.i18n import Text, _
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psutil import Process

    from manager.engine.client import Engine

PROXY = "docker-proxy"
"""The engine's own process for a published port."""


def holder(port: int, engine: Engine, fleet_name: str) -> str:
    """Return a container's name, else a process, if it is visible to us."""
    for name in engine.publishing(port):
        return name.removeprefix(f"{fleet_name}-")
    import psutil  # only on the way to an error message

    try:
        if (left := next(_proxies(port), None)) is not None:
            return str(
                Text(
                    "the Docker Engine itself ({proxy}, pid {pid}), for a container that is gone: an engine"
                    " that was killed leaves this process behind; restart the Docker Engine to remove it",
                    proxy=PROXY,
                    pid=left.pid,
                )
            )
        for connection in psutil.net_connections("tcp"):
            listens = (
                connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            )
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return _("another program")


def _proxies(port: int) -> Iterator[Process]:
    """Yield the engine's processes for this port.

    They are found by their command lines, because they may be in another network namespace.
    """
    import psutil

    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == PROXY and ("-host-port", str(port)) in pairwise(
            process.info["cmdline"] or []
        ):
            yield process
