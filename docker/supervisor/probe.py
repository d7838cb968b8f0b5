"""Probe the bot's `GET /health`, one at a time, inside the loop."""

import _socket  # what `socket` adds to it is 0.5 MB
import errno
import os
from _collections_abc import Callable

from supervisor import json_text
from supervisor.health import ProbeResult
from supervisor.loop import READ, WRITE, Loop
from supervisor.reasons import Reason
from supervisor.text import plain

MAX_REPLY = 65536  # bytes; what follows is not read
_FIRST_OF_CODE = frozenset("abcdefghijklmnopqrstuvwxyz")
_CODE = _FIRST_OF_CODE | frozenset("0123456789_")
MAX_CODE = 40  # characters
MAX_PARAMETERS = 16
MAX_TEXT = 200  # characters

Report = Callable[[ProbeResult], None]


def judge(reply: bytes) -> ProbeResult:
    """Return what a reply says: 200 is well, or degraded where its body says so; all else has failed."""
    status, text = _status(reply)
    if not status:
        return ProbeResult(Reason("no_http" if reply else "connection_closed"))
    body = _body(reply)
    if status == 200:
        return ProbeResult(condition=_degraded(body))
    detail = _detail(body) or plain(text.decode("ascii", "replace"), 96)
    reason = Reason("http_status", status=status, detail=detail)
    is_refusal = 500 <= status < 600
    is_starting = is_refusal and (_json_object(body) or {}).get("status") == "starting"
    return ProbeResult(reason, is_refusal=is_refusal, is_starting=is_starting)


def _status(reply: bytes) -> tuple[int, bytes]:
    """Return the status of a reply and its text; 0 for what is no HTTP. `re` is 0.5 MB of memory."""
    line, end, _rest = reply.partition(b"\n")
    version, _blank, status = line.removesuffix(b"\r").partition(b" ")
    code, _blank, text = status.partition(b" ")
    is_http = end and version in (b"HTTP/1.0", b"HTTP/1.1") and b"\r" not in text
    return (int(code), text) if is_http and len(code) == 3 and code.isdigit() else (0, b"")


def _is_code(text: str) -> bool:
    return len(text) <= MAX_CODE and text[:1] in _FIRST_OF_CODE and _CODE.issuperset(text)


def _body(reply: bytes) -> bytes:
    for blank in (b"\r\n\r\n", b"\n\n"):
        _head, separator, body = reply.partition(blank)
        if separator:
            return body.strip()
    return b""


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        content = json_text.loads(body) if body.startswith(b"{") else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _degraded(body: bytes) -> dict[str, object] | None:
    """Return the condition of a degraded bot; None for one that is well."""
    content = _json_object(body) if b"degraded" in body else None
    if content is None or content.get("status") != "degraded":
        return None
    condition = content.get("condition")
    code = condition.get("code") if isinstance(condition, dict) else None
    if not isinstance(condition, dict) or not isinstance(code, str) or not _is_code(code):
        return {"code": "unknown", "params": {}}
    params = condition.get("params")
    return {"code": code, "params": _parameters(params) if isinstance(params, dict) else {}}


def _parameters(raw: dict[str, object]) -> dict[str, object]:
    """Return the parameters that are text or numbers; a bot may send anything."""
    params: dict[str, object] = {}
    for name, value in raw.items():
        if len(params) == MAX_PARAMETERS:
            break
        if not _is_code(name):
            continue
        if isinstance(value, str):
            params[name] = plain(value, MAX_TEXT)
        elif value is None or (isinstance(value, int | float) and -1e15 < value < 1e15):
            params[name] = value
    return params


def _detail(body: bytes) -> str:
    """Return what the body of a refusal says: its `reason`, `detail` or `error`, or the first line of a
    plain text.
    """
    content = _json_object(body)
    if content is None:
        text = body.partition(b"\n")[0].decode("utf-8", "replace")
        return "" if text.startswith(("<", "{", "[")) else plain(text, MAX_TEXT)
    for name in ("reason", "detail", "error"):
        value = content.get(name)
        if isinstance(value, dict):
            value = value.get("code")
        if isinstance(value, str) and plain(value, MAX_TEXT):
            return plain(value, MAX_TEXT)
    return ""


def complete(reply: bytes) -> bool:
    """Return whether the reply is complete before its sender has closed the connection."""
    for blank in (b"\r\n\r\n", b"\n\n"):
        head, separator, body = reply.partition(blank)
        if separator:
            length = _content_length(head)
            return length is not None and len(body) >= length
    return False


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\n")[1:]:
        name, _colon, value = line.removesuffix(b"\r").partition(b":")
        number = value.strip(b" \t")
        if name.lower() == b"content-length" and number.isdigit() and len(number) < 16:
            return int(number)
    return None


class Probe:
    """Send one request and read its reply to the end, so that the bot never writes to a closed
    connection.
    """

    def __init__(self, loop: Loop, port: int, path: str, timeout: float, report: Report) -> None:
        self._loop = loop
        self._report = report
        self._timeout = timeout
        self._reply = b""
        self._request = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        loop.after("probe timeout", timeout, self._timed_out)
        error = self._socket.connect_ex(("127.0.0.1", port))
        if error not in (0, errno.EINPROGRESS):
            loop.after("probe timeout", 0, lambda: self._end(_failed(error)))
            return
        loop.watch(self._socket.fileno(), WRITE, self._connected)

    def cancel(self) -> None:
        """Close the connection without reporting a result."""
        self._loop.cancel("probe timeout")
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()

    def _connected(self) -> None:
        error = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
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
        self._end(ProbeResult(Reason("no_answer", seconds=self._timeout)))

    def _end(self, result: ProbeResult) -> None:
        self.cancel()
        self._report(result)


def _failed(error: int) -> ProbeResult:
    return ProbeResult(Reason("connection_failed", error=os.strerror(error).lower()))
