"""GET /health, one at a time, inside the loop."""

import errno
import os
import re
import socket
from collections.abc import Callable

from supervisor.loop import READ, WRITE, Loop
from supervisor.reasons import Reason

PATH = "/health"
MAX_REPLY = 65536  # bytes
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
_LENGTH = re.compile(rb"\r?\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r?\n", re.IGNORECASE)

Report = Callable[[Reason | None], None]


def judge(reply: bytes) -> Reason | None:
    """Return why a reply is not good; None for a good one."""
    status = _STATUS.match(reply)
    if status is None:
        return Reason("no_http" if reply else "connection_closed")
    if status[1] == b"200":
        return None
    phrase = (status[2] or b"").decode("ascii", "replace").strip()
    return Reason("http_status", status=int(status[1]), phrase=phrase[:96])


def complete(reply: bytes) -> bool:
    """Whether the whole reply is there before its sender has closed the connection."""
    for blank in (b"\r\n\r\n", b"\n\n"):
        head, found, body = reply.partition(blank)
        if found:
            length = _LENGTH.search(head + b"\r\n")
            return length is not None and len(body) >= int(length[1])
    return False


class Probe:
    """One request. It reads the reply to its end, so that the bot never writes to a closed connection."""

    def __init__(self, loop: Loop, port: int, timeout: float, report: Report) -> None:
        self._loop = loop
        self._report = report
        self._timeout = timeout
        self._reply = b""
        self._request = f"GET {PATH} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        loop.after("probe timeout", timeout, self._timed_out)
        error = self._socket.connect_ex(("127.0.0.1", port))
        if error not in (0, errno.EINPROGRESS):
            loop.after("probe timeout", 0, lambda: self._end(_failed(error)))
            return
        loop.watch(self._socket.fileno(), WRITE, self._connected)

    def cancel(self) -> None:
        """Forget it, without a report."""
        self._loop.cancel("probe timeout")
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()

    def _connected(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._end(_failed(error))
            return
        self._loop.unwatch(self._socket.fileno())
        try:
            self._socket.send(self._request)  # far smaller than any socket buffer
        except OSError as err:
            self._end(_failed(err.errno or 0))
            return
        self._loop.watch(self._socket.fileno(), READ, self._readable)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(16384)
        except BlockingIOError:
            return
        except OSError as err:
            if not self._reply:
                self._end(_failed(err.errno or 0))
                return
            data = b""  # some servers reset the connection behind a whole reply
        self._reply += data
        if not data or len(self._reply) > MAX_REPLY or complete(self._reply):
            self._end(judge(self._reply))

    def _timed_out(self) -> None:
        self._end(Reason("no_answer", seconds=self._timeout))

    def _end(self, reason: Reason | None) -> None:
        self.cancel()
        self._report(reason)


def _failed(error: int) -> Reason:
    return Reason("connection_failed", error=os.strerror(error).lower())
