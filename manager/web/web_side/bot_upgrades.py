"""Pass a WebSocket on to a bot's own page: its head is checked, and what follows passes as it is.

uvicorn gives each upgrade to the protocol that it is configured with. The fleet's page has no WebSocket.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import h11
from starlette.datastructures import Headers

from manager import i18n
from manager.i18n import Text
from manager.util import kept_text
from manager.util.sanitize import replace_unprintable
from manager.web.protocol import Refusal
from manager.web.web_side import bot_headers, bot_pages
from manager.web.web_side.app_state import AppState
from manager.web.web_side.bot_relay import CHUNK, HEAD_WITHIN_S, LOOK_S
from manager.web.web_side.guard import language_of
from manager.web.web_side.problems import problem

LOGGED_EVERY_S = 60.0
"""How often the same refusal is logged."""
MOST_LOGGED = 10
"""How many are within that time."""

SWITCH = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def upgrades_of(app_state: AppState) -> type[asyncio.Protocol]:
    """Return the protocol that takes the upgrades."""

    log = _RefusalLog()

    class Bound(_Upgrade):
        def __init__(self, server_state: Any, **_others: Any) -> None:
            super().__init__(app_state, server_state.connections, log)

    return Bound


class _RefusalLog:
    """Log why upgrades are refused: no script of a page can read the answer to its own.

    Anybody may ask for one, again and again, so only so many lines are written.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque()

    def note(self, label: str, refusal: Refusal) -> None:
        """Log it, unless the same was logged just now, or many others were."""
        why = kept_text.english(refusal.message)
        line = replace_unprintable(f"{label or '?'}: a WebSocket is refused ({refusal.status}): {why}")
        now = self._clock()
        while self._lines and now - self._lines[0][0] >= LOGGED_EVERY_S:
            self._lines.popleft()
        if len(self._lines) < MOST_LOGGED and all(line != other for _at, other in self._lines):
            self._lines.append((now, line))
            logging.getLogger("uvicorn.error").error(line)


class _Upgrade(asyncio.StreamReaderProtocol, asyncio.Protocol):
    def __init__(self, app_state: AppState, connections: set[Any], log: _RefusalLog) -> None:
        super().__init__(asyncio.StreamReader(CHUNK), self._serve)
        self._app_state, self._connections = app_state, connections
        self._to_browser: asyncio.BaseTransport | None = None
        self._label, self._language, self._log = "", i18n.language(), log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._to_browser = transport
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End it: uvicorn ends."""
        if self._to_browser is not None:
            self._to_browser.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one upgrade, to its end."""
        try:
            await self._answer((reader, writer))
        except Refusal as refusal:
            writer.write(_refused(refusal, self._language))
            self._log.note(self._label, refusal)
        except (OSError, EOFError, asyncio.LimitOverrunError, h11.ProtocolError, TimeoutError):
            pass  # cut off on one end; the other one is closed
        finally:
            writer.close()

    async def _answer(self, browser: Streams) -> None:
        app_state = self._app_state
        request = _parsed(await browser[0].readuntil(b"\r\n\r\n"))
        raw = [(bytes(name), bytes(value)) for name, value in request.headers]
        headers = Headers(raw=raw)
        self._language = language_of(headers.get("accept-language", ""))
        hosts = headers.getlist("host")
        label = app_state.reach.bot_of(hosts[0]) if len(hosts) == 1 else None
        if label is None:
            raise Refusal(403, Text("only the bots' own pages have WebSockets"))
        self._label = label
        peer = (browser[1].get_extra_info("peername") or ("",))[0]
        grant = bot_pages.admit(app_state, label, headers, peer, is_upgrade=True)
        async with app_state.bot_connections.to(grant.instance) as (connection, host):
            bot = await asyncio.open_connection(sock=connection)
            try:
                place = (bot_pages.own_origin(app_state, headers), host)
                await _switch(request, raw, place, browser, bot)

                def may_go_on() -> bool:
                    return not app_state.is_ending and app_state.bot_sessions.lasts(grant)

                await _pass_both(browser, bot, may_go_on)
            finally:
                bot[1].close()


async def _switch(
    request: h11.Request,
    raw: bot_headers.Head,
    place: tuple[str, str],
    browser: Streams,
    bot: Streams,
) -> None:
    """Pass the upgrade on, and the bot's consent back. Raises Refusal without it."""
    http = h11.Connection(h11.CLIENT)
    head = [*bot_headers.for_bot(raw, *place), *SWITCH]
    asked = h11.Request(method=request.method, target=request.target, headers=head)
    bot[1].write(http.send(asked) or b"")
    http.send(h11.EndOfMessage())
    answer = await asyncio.wait_for(_first(http, bot[0]), HEAD_WITHIN_S)
    if not isinstance(answer, h11.InformationalResponse):
        status = answer.status_code
        why = Text("the bot itself refuses the WebSocket (HTTP {status})", status=status)
        raise Refusal(status if status in set(HTTPStatus) and status >= HTTPStatus.BAD_REQUEST else 502, why)
    answer_headers = [(bytes(name), bytes(value)) for name, value in answer.headers]
    lines = [
        name + b": " + value for name, value in [*bot_headers.for_browser(answer_headers, *place), *SWITCH]
    ]
    start = [b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""]
    browser[1].write(b"\r\n".join(start) + http.trailing_data[0])


async def _pass_both(browser: Streams, bot: Streams, may_go_on: Callable[[], bool]) -> None:
    """Pass what either sends on, until one ends it, or the session ends."""
    passing = [
        asyncio.ensure_future(_pass(browser[0], bot[1])),
        asyncio.ensure_future(_pass(bot[0], browser[1])),
    ]
    try:
        while not any(task.done() for task in passing) and may_go_on():
            await asyncio.wait(passing, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in passing:
            task.cancel()


def _refused(refusal: Refusal, language: str) -> bytes:
    """Return the answer to an upgrade that is refused: a problem, as to every other request."""
    with i18n.speaking(language):
        answer = problem(refusal.status, refusal.message)
    answer.headers.update({**bot_pages.HEADERS, "Connection": "close"})
    http = h11.Connection(h11.SERVER)
    http.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    http.next_event()
    head = h11.Response(status_code=refusal.status, headers=answer.raw_headers)
    return b"".join(
        http.send(event) or b"" for event in (head, h11.Data(bytes(answer.body)), h11.EndOfMessage())
    )


def _parsed(head: bytes) -> h11.Request:
    http = h11.Connection(h11.SERVER)
    http.receive_data(head)
    event = http.next_event()
    if not isinstance(event, h11.Request):
        raise Refusal(400, Text("this is no HTTP request"))
    return event


async def _first(
    http: h11.Connection, reader: asyncio.StreamReader
) -> h11.InformationalResponse | h11.Response:
    """Return the bot's answer. Raises h11.RemoteProtocolError."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            return event
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                return event
        else:
            raise EOFError


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
