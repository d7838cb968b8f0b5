"""The bot's web server: health, status, history, metrics and the page. Read-only unless a token is set."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gridbot.args import Settings
from gridbot.board import Board
from gridbot.errors import PortError
from gridbot.signals import StopSignal

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, settings: Settings, board: Board, stop: StopSignal) -> None:
        self.settings, self.board, self.stop = settings, board, stop
        super().__init__((settings.web_host, settings.web_port), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10
    server_version = "gridbot"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        board = self.server.board
        if path == "/health":
            ok, why = board.health()
            body: dict[str, Any] = {
                "status": "healthy" if ok else "unhealthy",
                "running": ok,
                "timestamp": time.time(),
            }
            self._json(200 if ok else 503, body if ok else {**body, "reason": why})
        elif path in ("/health/detailed", "/api/status"):
            ok, why = board.health()
            body = {"healthy": ok, "reason": why, "uptime": time.time() - board.started_at, **board.status}
            self._json(200 if ok or path == "/api/status" else 503, body)
        elif path == "/" or ((PAGE / path[1:]).suffix in (".css", ".js") and "/" not in path[1:]):
            self._file(PAGE / (path[1:] or "index.html"))
        else:
            self._json(404, {"error": "no such page"})

    def _file(self, path: Path) -> None:
        try:
            body = path.read_bytes()
        except OSError:
            self._json(404, {"error": "no such page"})
            return
        self._send(200, TYPES[path.suffix], body)

    def _json(self, code: int, value: Any) -> None:
        self._send(code, "application/json", json.dumps(value).encode())

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""


def serve(settings: Settings, board: Board, stop: StopSignal) -> Server:
    """Start serving in the background. Raises PortError."""
    try:
        server = Server(settings, board, stop)
    except OSError as err:
        raise PortError(f"cannot listen on {settings.web_host}:{settings.web_port}: {err.strerror}") from err
    threading.Thread(target=server.serve_forever, name="web", daemon=True).start()
    return server
