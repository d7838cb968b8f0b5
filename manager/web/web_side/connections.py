"""Keep the connections to browsers few and short: one that asks nothing, or asks slowly, is ended.

uvicorn itself waits for a request's head for ever, so that a few idle programs could take every connection.
Where one address has too many, those of nobody who is signed in give way: another program there may flood
the page.
"""

from __future__ import annotations

import asyncio
import resource
from enum import IntEnum
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from manager.i18n import Text
from manager.web.address import Reach
from manager.web.web_side.guard import HEADERS
from manager.web.web_side.problems import problem

HEAD_WITHIN_S = 15.0
"""How long a connection may have no request: browsers open some ahead, and mobile networks are slow."""
MOST_OF_ADDRESS = 256
"""Connections of one address: a browser has six, and some for each bot's own page that is open."""
DESCRIPTORS = 4096
"""More than this process is given by default, so that one address cannot take them all."""


def connections_of(reach: Reach) -> type[asyncio.Protocol]:
    """Return the protocol that takes the connections."""
    open_of: dict[str, dict[_Connection, None]] = {}

    class Bound(_Connection):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.reach, self.open_of = reach, open_of

    return Bound


def take_descriptors() -> None:
    """Allow this process as many open connections as it needs, where its limits permit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Priority(IntEnum):
    """Hold which connections give way first where there are too many; the longest open one of a kind does."""

    ASKS_NOTHING = 0
    ASKS = 1
    WAS_SIGNED_IN = 2
    IS_SIGNED_IN = 3
    """Its answer is not complete, as that of a stream: it never gives way."""


class _Connection(H11Protocol):
    reach: Reach
    open_of: dict[str, dict[_Connection, None]]
    _late: asyncio.TimerHandle | None = None
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in place of another one where its address has too many. A reverse proxy has
        everybody's.
        """
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self.reach.is_proxy(address):
            address = ""
        if address:
            if not self._has_room(self.open_of.get(address, {})):
                transport.abort()
                return
            self._address = address
            self.open_of.setdefault(address, {})[self] = None
        self._wait()

    def _has_room(self, others: dict[_Connection, None]) -> bool:
        """Return whether there is room beside an address's other connections, if need be by ending one."""
        if len(others) < MOST_OF_ADDRESS:
            return True
        least = min(others, key=_Connection._priority)
        if least._priority() is _Priority.IS_SIGNED_IN:
            return False
        least._leave()
        least.transport.abort()
        return True

    def _priority(self) -> _Priority:
        """Return what its last request says of it. guard.py notes there who has asked."""
        if self.cycle is None:
            return _Priority.ASKS_NOTHING
        is_signed_in = self.cycle.scope.get("state", {}).get("session") is not None
        if self.cycle.response_complete:
            return _Priority.WAS_SIGNED_IN if is_signed_in else _Priority.ASKS_NOTHING
        return _Priority.IS_SIGNED_IN if is_signed_in else _Priority.ASKS

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave it to the protocol of upgrades."""
        self._leave()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are in no language of ours
        """Answer what is no HTTP, as a problem like every other error."""
        answer = problem(400, Text("this is no HTTP request"))
        answer.headers.update({**HEADERS, "Connection": "close"})
        for event in (
            h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(HEAD_WITHIN_S, self._end_without_request)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_without_request(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _leave(self) -> None:
        self._stop_waiting()
        if self._address:
            of_address = self.open_of[self._address]
            del of_address[self]
            if not of_address:
                del self.open_of[self._address]
            self._address = ""
