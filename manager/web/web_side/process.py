"""Run the web side: `python -m manager.web.web_side.process`, with its settings as JSON on its input.

All that has to be read is read as the user who starts it. Then it gives up root's rights, and answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
import sys
from typing import Any

from starlette.types import ASGIApp, Message

from manager import i18n
from manager.typed import NamedTuple
from manager.web import access, lifeline, rights
from manager.web.address import Reach
from manager.web.protocol import SOCKET_NAME
from manager.web.web_side.app_state import AppState
from manager.web.web_side.connections import take_descriptors
from manager.web.web_side.link import Link
from manager.web.web_side.server import Server
from manager.web.web_side.sign_in import SessionStore

WARM_UP = (("GET", "/"), ("GET", "/texts/zh-TW"), ("GET", "/api/v1/openapi.json"), ("GET", "/nothing"))


class Descriptors(NamedTuple):
    """Hold what it inherits: the listening socket, the file of sessions, the pipes of the keeper."""

    listening: int
    sessions: int
    lifeline: int
    ready: int


def main(words: list[str]) -> None:
    """Serve until SIGTERM, or until the keeper has ended."""
    got = Descriptors(*map(int, words))
    settings = json.load(sys.stdin)
    i18n.use(settings["language"])
    lifeline.hold(got.lifeline)
    app_state = _app_state(settings, got.sessions)

    def ready() -> None:
        os.write(got.ready, b"w")
        os.close(got.ready)

    server = Server(app_state, settings["tls"], ready)
    server.config.load()
    assert server.config.loaded_app is not None
    asyncio.run(_warm_up(server.config.loaded_app))
    os.chdir(settings["folder"])  # the socket is reached from here: the way to it may be closed to others
    take_descriptors()
    rights.give_up(settings["uid"])
    with socket.socket(fileno=got.listening) as listening:
        server.run(sockets=[listening])
    app_state.end()


def _app_state(settings: Any, sessions: int) -> AppState:
    reach = Reach(
        settings["is_loopback"],
        settings["scheme"],
        frozenset(settings["names"]),
        [ipaddress.ip_network(proxy) for proxy in settings["proxies"]],
        settings["bot_origin"],
    )
    known = access.of_object(settings["access"])
    return AppState(Link(SOCKET_NAME), SessionStore(sessions), known, reach, settings["cookie_name"])


async def _warm_up(app: ASGIApp) -> None:
    """Answer some requests of its own, so that what is imported or read late is loaded."""
    for method, path in WARM_UP:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        await app(scope, _nothing_more, _to_nobody)


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _to_nobody(_message: Message) -> None:
    pass


if __name__ == "__main__":
    main(sys.argv[1:])
