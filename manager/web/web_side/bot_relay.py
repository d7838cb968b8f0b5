"""Pass one HTTP request on to a bot, and its answer back as it comes: event streams have no end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from starlette.types import Message, Receive, Scope, Send

from manager.i18n import Text
from manager.typed import NamedTuple
from manager.web.protocol import Refusal
from manager.web.web_side import bot_headers

HEAD_WITHIN_S = 60.0
CHUNK = 1 << 16
LAST_STATUS = 599
"""The parser takes 999 as well, of which neither our server nor a browser has a meaning."""
LOOK_S = 1.0
"""How soon a stream ends after its session."""


class Place(NamedTuple):
    """Hold where the bot's page is: its origin for the browser, host and port for the bot."""

    origin: str
    host: str


async def relay(
    connection: socket.socket,
    place: Place,
    may_go_on: Callable[[], bool],
    request: tuple[Scope, Receive, Send],
) -> None:
    """Pass a request on over the connection, and close it. Raises Refusal before anything is answered."""
    reader, writer = await asyncio.open_connection(sock=connection)
    scope, receive, send = request
    try:
        relayed = _Request(reader, writer, place, may_go_on)
        if await relayed.ask(scope, receive):
            await relayed.answer(receive, send)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class _Request:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        place: Place,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._reader, self._writer, self._place, self._may_go_on = reader, writer, place, may_go_on
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, scope: Scope, receive: Receive) -> bool:
        """Send the request. Returns whether the browser is still there."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        head = bot_headers.for_bot(scope["headers"], *self._place)
        sent = {name for name, _value in scope["headers"]}
        if b"content-length" not in sent and b"transfer-encoding" in sent:
            head.append((b"transfer-encoding", b"chunked"))
        head.append((b"connection", b"close"))
        try:
            self._write(h11.Request(method=scope["method"], target=target, headers=head))
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return False
                if body := message.get("body"):
                    self._write(h11.Data(data=body))
                    with suppress(OSError):  # it may have answered already, without reading it
                        await self._writer.drain()
                more = message.get("more_body", False)
            self._write(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise Refusal(400) from error
        return True

    def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def answer(self, receive: Receive, send: Send) -> None:
        """Send the answer to the browser, until either ends it, or the session ends."""
        is_begun = is_endless = False
        gone = asyncio.ensure_future(receive())
        try:
            while (event := await self._next(gone, is_begun=is_begun)) is not None:
                if isinstance(event, h11.Response):
                    if event.status_code > LAST_STATUS:
                        raise Refusal(502, Text("the bot has answered with something that is not HTTP"))
                    is_begun = True
                    raw = [(bytes(name), bytes(value)) for name, value in event.headers]
                    is_endless = not any(name == b"content-length" for name, _value in raw)
                    head = bot_headers.for_browser(raw, *self._place)
                    await send({"type": "http.response.start", "status": event.status_code, "headers": head})
                elif isinstance(event, h11.Data):
                    await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
                elif isinstance(event, h11.EndOfMessage):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
            if is_endless and not gone.done():  # the session is over: an event stream may end anywhere
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except h11.RemoteProtocolError as error:  # cut off; the server ends the browser's connection too
            if not is_begun:
                raise Refusal(502, Text("the bot has answered with something that is not HTTP")) from error
        finally:
            gone.cancel()

    async def _next(self, gone: asyncio.Future[Message], *, is_begun: bool) -> object:
        """Return what comes next; None when nothing is to follow."""
        deadline = time.monotonic() + HEAD_WITHIN_S
        while (event := self._http.next_event()) is h11.NEED_DATA:
            reading = asyncio.ensure_future(self._reader.read(CHUNK))
            both: set[asyncio.Future[Any]] = {reading, gone}
            while not reading.done():
                await asyncio.wait(both, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                is_late = not is_begun and time.monotonic() > deadline
                if gone.done() or is_late or not self._may_go_on():
                    reading.cancel()
                    if is_late:
                        raise Refusal(504, Text("the bot has not answered in time"))
                    return None
            try:
                self._http.receive_data(reading.result())
            except OSError:
                self._http.receive_data(b"")
        return event
