"""Open connections to the bots' own pages. The web side names an instance; the port is what it publishes."""

from __future__ import annotations

import socket

from manager.i18n import Text
from manager.typed import NamedTuple
from manager.util import formatting
from manager.web.engine_side.backend import Backend
from manager.web.protocol import Refusal

CONNECT_WITHIN_S = 5.0


class BotConnection(NamedTuple):
    """Hold a connection that is handed over to the web side. `host`: what a browser would have called it."""

    connection: socket.socket
    host: str


def connect(backend: Backend, instance: str) -> BotConnection:
    """Return a connection to an instance's published port. Raises Refusal, UsageError."""
    row = backend.known_row(instance)
    port = row.view.web_port
    if port is None:
        raise Refusal(409, Text("{id} has no page of its own", id=row.id))
    if not row.view.is_bot_up:
        raise Refusal(409, Text("{id} does not run now, and its own page is away", id=row.id))
    if sum(other.id.lower() == row.id.lower() for other in backend.snapshots.latest.rows) > 1:
        raise Refusal(409, Text("another instance has the id {id} but for its capital letters", id=row.id))
    host = backend.snapshots.latest.fleet.web_host
    try:
        connection = socket.create_connection((host, port), CONNECT_WITHIN_S)
    except OSError as error:
        why = error.strerror or error
        raise Refusal(
            503, Text("{id} does not answer on port {port}: {why}", id=row.id, port=port, why=why)
        ) from error
    return BotConnection(connection, formatting.host_port(host, port))
