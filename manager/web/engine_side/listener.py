"""Listen on the Unix socket, and answer each connection in a thread of its own."""

from __future__ import annotations

import os
import socket
import socketserver
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager.web import protocol
from manager.web.engine_side import verbs
from manager.web.engine_side.backend import Backend
from manager.web.engine_side.bot_pages import BotConnection

MODE = 0o600
MOST_CONNECTIONS = 192
"""More than the web side ever has at once, of which 120 are streams: beyond it, a halt would wait, too."""
CREDENTIALS = struct.Struct("3i")


class Listener(socketserver.ThreadingUnixStreamServer):
    """Answer the verbs to processes of one user. `peer`: its uid."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, path: Path, backend: Backend, peer: int) -> None:
        """Replace a socket that an earlier process left. Raises OSError."""
        self.backend, self._peer = backend, peer
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        path.unlink(missing_ok=True)
        # A socket's own path has at most 107 bytes: it is bound by way of its folder's descriptor.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        mask = os.umask(0o177)
        try:
            super().__init__(f"/proc/self/fd/{folder}/{path.name}", _Connection)
        finally:
            os.umask(mask)
            os.close(folder)
        if peer != os.geteuid():
            os.chown(path, peer, -1, follow_symlinks=False)

    def begin(self) -> None:
        """Answer from now on, in a thread."""
        threading.Thread(target=self.serve_forever, name="listener", daemon=True).start()

    def verify_request(self, request: Any, _client: Any) -> bool:
        """Return whether the process on the other end is the web side's user's."""
        raw = request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        _pid, uid, _gid = CREDENTIALS.unpack(raw)
        return bool(uid == self._peer)

    def process_request(self, request: Any, client: Any) -> None:
        """Start a thread for the connection, once there are not too many."""
        self._free.acquire()
        super().process_request(request, client)

    def process_request_thread(self, request: Any, client: Any) -> None:
        """Answer it."""
        try:
            super().process_request_thread(request, client)
        finally:
            self._free.release()

    def handle_error(self, _request: Any, _client: Any) -> None:
        """Forget a connection that broke off: the web side asks again."""


class _Connection(socketserver.StreamRequestHandler):
    timeout = protocol.ANSWER_WITHIN_S

    def handle(self) -> None:
        raw = self.rfile.readline(protocol.MAX_QUESTION + 1)
        if not raw.endswith(b"\n"):
            return
        assert isinstance(self.server, Listener)
        with suppress(OSError):
            answered = verbs.answer(self.server.backend, raw)
            if isinstance(opened := answered.get("answer"), BotConnection):
                with opened.connection:
                    reply = protocol.line({"answer": {"host": opened.host}})
                    socket.send_fds(self.connection, [reply], [opened.connection.fileno()])
            else:
                self.wfile.write(protocol.line(answered))
