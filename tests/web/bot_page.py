"""A bot's own page as a test wants it: it says what it was sent, streams, upgrades, and can be hostile."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BotPage(ThreadingHTTPServer):
    """`html` is its page; `seen` are the heads of the requests that reached it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.html = "<title>bot</title>its own page"
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.go_on = threading.Event()
        self.is_left = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, _request: Any, _client: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BotPage

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        match self.path.partition("?")[0]:
            case "/events":
                self._stream()
            case "/socket":
                self._upgrade()
            case "/away":
                self._answer(302, b"", Location=f"http://127.0.0.1:{self.server.port}/there")
            case "/cookies":
                self.send_response(200)
                for cookie in ("own=1; Domain=localhost; Path=/", "botfleet-test=x", "botfleet-test-bot=x"):
                    self.send_header("Set-Cookie", cookie)
                self.send_header("Clear-Site-Data", '"*"')
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/odd":
                self._answer(999, b"hi")
            case "/both":
                self.close_connection = True
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
                self.wfile.write(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
            case "/said":
                self._answer(200, json.dumps(self.server.seen[-1][1]).encode())
            case _:
                self._answer(200, self.server.html.encode(), **{"Content-Type": "text/html"})

    def do_POST(self) -> None:
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        size = int(self.headers.get("content-length") or 0)
        self._answer(200, self.rfile.read(size)[::-1])

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.server.go_on.wait(20)
        self.wfile.write(b"data: second\n\n")
        if self.rfile.read(1) == b"":
            self.server.is_left.set()

    def _upgrade(self) -> None:
        self.close_connection = True
        key = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode()).digest()
        self.send_response_only(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(key).decode())
        self.send_header("Set-Cookie", "botfleet-test=x")
        self.end_headers()
        self.wfile.write(b"\x81\x05hello")
        while data := self.connection.recv(1 << 16):
            self.wfile.write(data)
        self.server.is_left.set()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def a_bot_page() -> Iterator[BotPage]:
    page = BotPage()
    thread = threading.Thread(target=page.serve_forever, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        page.shutdown()
        page.server_close()
