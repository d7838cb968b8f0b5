"""Backpack's websocket of a fake exchange's first account: updates of its orders' fills."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from typing import Any, Self

from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fake_exchange.book import BookOrder
from tests.fake_exchange.server import FakeExchange


class ThreadedServer:
    """`with` runs an aiohttp server in a thread of its own, at a port that the kernel chooses."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address, self.port = address, 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    def cut(self) -> None:
        """Close every socket, as a network does that goes away."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(5)

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True).start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application()
        self._add_routes(app.router)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, 0).start()
        self.port = self._runner.addresses[0][1]

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        raise NotImplementedError

    async def _cut(self) -> None:
        raise NotImplementedError


class FakeSocket(ThreadedServer):
    """`with FakeSocket(fake) as socket:` sends what happens in `fake.book`, `delay` seconds later.

    `refuses`: no socket opens. `is_silent`: they stay open, and nothing is sent or answered any more.
    `address`: where it listens; one of this machine's bridges, for bots in containers.
    """

    def __init__(self, fake: FakeExchange, delay: float = 0.0, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.fake, self.delay = fake, delay
        self.refuses = self.is_silent = False
        self.subscribed: list[list[str]] = []
        self.sent = 0
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def env(self) -> dict[str, str]:
        """The variable that makes the bot listen here."""
        return {"BACKPACK_WS_URL": f"ws://{self.address}:{self.port}"}

    def __enter__(self) -> Self:
        super().__enter__()
        self.fake.book.on_fill = self._on_fill
        return self

    def __exit__(self, *exc: object) -> None:
        self.fake.book.on_fill = lambda _order: None
        super().__exit__(*exc)

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._connect)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if self.is_silent:
                continue
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                self._subscribe(socket, json.loads(message.data))
        self._sockets.discard(socket)
        return socket

    def _subscribe(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        if asked.get("method") != "SUBSCRIBE":
            return
        key, signature, stamp, window = asked["signature"]
        message = f"instruction=subscribe&timestamp={stamp}&window={window}"
        if key != self.fake.key:
            return
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
            public.verify(base64.b64decode(signature), message.encode())
        except InvalidSignature:
            return
        self.subscribed.append(asked["params"])
        self._sockets.add(socket)

    async def _cut(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        self._sockets.clear()

    def _on_fill(self, order: BookOrder) -> None:
        """Called with the book's lock held, so nothing is waited for."""
        text = json.dumps({"stream": f"account.orderUpdate.{order.symbol}", "data": _update(order)})
        self._loop.call_soon_threadsafe(self._loop.call_later, self.delay, self._send, text)

    def _send(self, text: str) -> None:
        if self.is_silent:
            return
        for socket in list(self._sockets):
            self.sent += 1
            self._tasks = self._loop.create_task(socket.send_str(text))


def _update(order: BookOrder) -> dict[str, Any]:
    """An update as Backpack's documents show it, "Order update" of the private streams."""
    return {
        "e": "orderFill",
        "E": int(time.time() * 1_000_000),
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.kind.upper(),
        "f": "GTC",
        "q": str(order.qty),
        "p": str(order.price),
        "X": order.status,
        "i": order.id,
        "l": str(order.last_filled),
        "z": str(order.filled),
        "Z": str(order.quote_filled),
        "T": int(time.time() * 1_000_000),
    }
