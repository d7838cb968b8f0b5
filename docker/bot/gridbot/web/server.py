"""Serve health, status, history, metrics and the page. Nothing can be changed unless a token is set."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import os
import re
import socket
import sqlite3
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gridbot.config.settings import Settings
from gridbot.model.errors import PortError
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.store import history
from gridbot.web import metrics

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/age.js": ("age.js", "text/javascript; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/plots.js": ("plots.js", "text/javascript; charset=utf-8"),
    "/chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "/uplot.js": ("lib/uplot.js", "text/javascript; charset=utf-8"),
    "/uplot.css": ("lib/uplot.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# More concurrent requests than this are dropped, because each takes a thread's memory.
MAX_REQUESTS = 32
# The supervisor asks from inside of the container, where no client outside has one of these addresses. It has
# slots of its own; without a container, all clients on the machine share them.
INSIDE = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
MAX_INSIDE = 16
# A client has this long for a whole request, however slowly its bytes come,
REQUEST_SECONDS = 3
# and this long for request and answer, however slowly it reads.
EXCHANGE_SECONDS = 10
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::[0-9]{1,5})?")
UNKNOWN_NAME = {"error": "this name is not one of BOT_WEB_HOSTS; add it there in .env, and restart the bot"}
ACTIONS = ("/api/pause", "/api/resume", "/api/stop")


class Slots:
    """Hold the connections that are served at the same time, a bounded number of them."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        # Oldest first: when each was accepted, and whether its request is still incomplete.
        self._connections: dict[socket.socket, tuple[float, bool]] = {}

    def take(self, request: socket.socket) -> bool:
        """Take a slot, if need be the slowest client's: one that has not sent its request, or the oldest."""
        if not self._free.acquire(blocking=False):
            held = list(self._connections.items())
            incomplete = [connection for connection, (_accepted, is_incomplete) in held if is_incomplete]
            self._disconnect(next(iter([*incomplete, *(connection for connection, _state in held)]), None))
            if not self._free.acquire(timeout=0.5):
                return False
        self._connections[request] = time.monotonic(), True
        return True

    def release(self, request: socket.socket) -> None:
        """Give the slot back."""
        self._connections.pop(request, None)
        self._free.release()

    def is_complete(self, request: socket.socket) -> None:
        """Note that the client has sent its whole request."""
        if request in self._connections:
            self._connections[request] = self._connections[request][0], False

    def end_late(self, now: float) -> None:
        """Disconnect the clients whose time is over."""
        for request, (accepted, is_incomplete) in list(self._connections.items()):
            if now - accepted > (REQUEST_SECONDS if is_incomplete else EXCHANGE_SECONDS):
                self._disconnect(request)

    def _disconnect(self, request: socket.socket | None) -> None:
        if request is not None:
            self._connections.pop(request, None)
            with contextlib.suppress(OSError):  # it was closed meanwhile
                request.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """Answer requests in threads, a bounded number at a time."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, settings: Settings, shared: SharedState, stop: StopSignal) -> None:
        self.settings, self.shared, self.stop = settings, shared, stop
        self.inside, self.outside = Slots(MAX_INSIDE), Slots(MAX_REQUESTS)
        # Names besides addresses and localhost under which requests are answered, comma-separated.
        self.hosts = {
            name.strip().lower() for name in os.environ.get("BOT_WEB_HOSTS", "").split(",") if name.strip()
        }
        super().__init__((settings.web_host, settings.web_port), Handler)

    def slots_of(self, client_address: Any) -> Slots:
        """Return the slots that this client may take."""
        return self.inside if client_address[0] in INSIDE else self.outside

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.slots_of(client_address).take(request):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Disconnect the clients whose time is over."""
        for slots in (self.inside, self.outside):
            slots.end_late(time.monotonic())

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots_of(client_address).release(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class Handler(BaseHTTPRequestHandler):
    """Answer one request."""

    server: Server
    timeout = REQUEST_SECONDS
    server_version = "gridbot"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a read."""
        self._note_complete()
        if not self._may_read():
            self._json(403, UNKNOWN_NAME)
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            self._get(url.path, query)
        except (ValueError, OverflowError):
            self._json(400, {"error": "a parameter is not a number"})
        except sqlite3.Error as err:
            self._json(503, {"error": f"cannot read the database: {err}"})

    def do_HEAD(self) -> None:
        """Answer as GET does, without the body."""
        self.do_GET()

    def _get(self, path: str, query: dict[str, str]) -> None:
        database = self.server.settings.db_path
        if path in FILES:
            self._file(*FILES[path])
        elif path == "/health":
            self._health()
        elif path == "/health/detailed":
            detailed = self._detailed()
            self._json(200 if self.server.shared.health().is_running else 503, detailed)
        elif path == "/api/status":
            self._json(200, self._detailed())
        elif path == "/api/history":
            hours = min(max(float(query.get("hours", 24)), 0.01), 24 * 366)
            self._json(200, history.chart_data(database, hours, self.server.settings.interval))
        elif path == "/api/trades":
            before = float(query["before"]) if "before" in query else None
            self._json(200, history.trades(database, _limit(query, 50), before))
        elif path == "/api/errors":
            self._json(200, history.errors(database, _limit(query, 20)))
        elif path == "/metrics":
            self._send(200, metrics.CONTENT_TYPE, metrics.render(self._detailed()).encode())
        else:
            self._json(404, {"error": "no such page"})

    def do_POST(self) -> None:
        """Pass an authorised request on to the loop."""
        length = self.headers.get("Content-Length") or "0"
        if length.isdigit() and int(length) <= 4096:
            self.rfile.read(int(length))
        self._note_complete()
        refusal = self._refusal()
        if refusal is not None:
            self._json(*refusal)
            return
        match urllib.parse.urlsplit(self.path).path:
            case "/api/pause":
                self.server.shared.pause_requested = True
            case "/api/resume":
                self.server.shared.pause_requested = False
            case _:
                self.server.stop.set(StopSignal.BY_PAGE)
        self.server.stop.wake()
        self._json(202, {"accepted": True})

    def _refusal(self) -> tuple[int, dict[str, str]] | None:
        """Return the answer that refuses a state-changing request, None when it is allowed."""
        if urllib.parse.urlsplit(self.path).path not in ACTIONS:
            return 404, {"error": "no such action"}
        token = self.server.settings.web_token
        if not token:
            return 403, {"error": "read-only: BOT_WEB_TOKEN is not set"}
        hosts = self.headers.get_all("Host", [])
        host = hosts[0] if len(hosts) == 1 else ""
        if not self._trusted(host):
            return 403, UNKNOWN_NAME
        origin = self.headers.get("Origin")
        if origin is not None and urllib.parse.urlsplit(origin).netloc != host:
            return 403, {"error": "the request comes from another site"}
        authorization = self.headers.get("Authorization", "")
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return 401, {"error": "the token is wrong or missing"}
        return None

    def _note_complete(self) -> None:
        self.server.slots_of(self.client_address).is_complete(self.connection)

    def _may_read(self) -> bool:
        """Return whether no foreign web page can be the one that asks.

        Browsers always send Host. A name without a dot, such as a container's or a machine's, is in no
        public DNS.
        """
        hosts = self.headers.get_all("Host", [])
        return all(self._trusted(host) or "." not in _hostname(host) for host in hosts)

    def _trusted(self, host: str) -> bool:
        """Accept addresses, localhost and listed names, because DNS rebinding needs a name of its own."""
        name = _hostname(host)
        if name == "localhost" or name in self.server.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _health(self) -> None:
        health, condition = self.server.shared.health(), self.server.shared.condition
        body: dict[str, Any] = {
            "status": health.status,
            "running": health.is_running,
            "timestamp": round(time.time(), 3),
        }
        if condition is not None:
            body["condition"] = condition.as_json()
        if health.reason is not None:
            body["reason"] = health.reason
        self._json(200 if health.is_running else 503, body)

    def _detailed(self) -> dict[str, Any]:
        shared = self.server.shared
        health, status = shared.health(), shared.status
        return {
            **status,
            "healthy": health.status == "healthy",
            "health": health.status,
            "reason": health.reason or status.get("reason"),
            "timestamp": round(time.time(), 3),
            "uptime": round(time.time() - shared.started_at, 3),
            "last_tick_age": shared.last_tick_age,
            "controls": bool(self.server.settings.web_token),
            "errors_total": history.error_count(self.server.settings.db_path),
            **history.figures(self.server.settings.db_path),
            "errors": history.errors(self.server.settings.db_path, 5),
        }

    def _json(self, code: int, value: Any) -> None:
        self._send(code, "application/json", json.dumps(value).encode())

    def _file(self, name: str, kind: str) -> None:
        """Send a file of the page from the disk, without having it in memory."""
        try:
            file = (PAGE / name).open("rb")
        except FileNotFoundError:  # a library that the image was built without; the page says so
            self._send(200, kind, b"")
            return
        with file:
            self._head(200, kind, os.fstat(file.fileno()).st_size)
            if self.command != "HEAD":
                self.connection.sendfile(file)

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self._head(code, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, code: int, kind: str, length: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log no requests."""


def _hostname(host: str) -> str:
    """Return the name in a Host header, a single dot (no name, and not trusted) for a malformed one."""
    match = HOST.fullmatch(host)
    return match[1].strip("[]").lower() if match else "."


def _limit(query: dict[str, str], default: int) -> int:
    return min(max(int(query.get("limit", default)), 1), 1000)


def serve(settings: Settings, shared: SharedState, stop: StopSignal) -> Server:
    """Start to serve in a background thread. Raises PortError."""
    try:
        server = Server(settings, shared, stop)
    except OSError as err:
        raise PortError(f"cannot listen on {settings.web_host}:{settings.web_port}: {err.strerror}") from err
    threading.Thread(target=server.serve_forever, args=(0.1,), name="web", daemon=True).start()
    return server
