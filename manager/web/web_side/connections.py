"""Keep the connections to browsers few and short: one that asks nothing, or asks slowly, is ended.

uvicorn itself waits for a request's head for ever, so that a few idle programs could take every connection.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from manager.web.address import Reach

HEAD_WITHIN_S = 15.0
"""So long a connection may have no request: browsers open some ahead, and a phone's network is slow."""
MOST_OF_ADDRESS = 256
"""Connections of one address: a browser has six, and some for each bot's own page that is open."""
DESCRIPTORS = 4096
"""More than this process is given by default, so that one address cannot take them all."""


def connections_of(reach: Reach) -> type[asyncio.Protocol]:
    """Return the protocol that takes the connections."""
    open_of: Counter[str] = Counter()

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


class _Connection(H11Protocol):
    reach: Reach
    open_of: Counter[str]
    _late: asyncio.TimerHandle | None = None
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless its address has too many. A reverse proxy has everybody's."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self.reach.is_proxy(address):
            address = ""
        if address and self.open_of[address] >= MOST_OF_ADDRESS:
            transport.abort()
            return
        if address:
            self._address = address
            self.open_of[address] += 1
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave it to the protocol of upgrades."""
        self._leave()
        super().handle_websocket_upgrade(event)

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
            self.open_of[self._address] -= 1
            if not self.open_of[self._address]:
                del self.open_of[self._address]
            self._address = ""
