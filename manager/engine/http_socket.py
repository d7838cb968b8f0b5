"""Call the engine's API over its local socket: JSON in and out, in a fifth of the SDK's time.

HTTP/1.0 and JSON only. Logs are read by http_logs.py; other kinds of endpoints are handled by the SDK
(docker_sdk.py).
"""

from __future__ import annotations

import _socket  # without the layer above, which takes as long to load as `ps` takes to ask the engine
import json
import time
from collections.abc import Mapping
from contextlib import closing

from manager.typed import Any

READ_TIMEOUT_S = 10
"""Listing 200 containers takes 50 ms; an engine that is silent for this long hangs."""

CALL_TIMEOUT_S = 60
"""Creating or removing on a busy disk takes seconds; an engine that is silent for a minute hangs."""


STANDS_STILL_S = 4
"""Seen twice, so long apart, an engine's process has not just been looked at by a debugger."""


class NoAnswer(Exception):
    """Signal that the socket is missing, refuses the connection, or stays silent."""


class TooSlow(NoAnswer):
    """Signal that it exists, but did not answer in time."""


class StandsStill(NoAnswer):
    """Signal that its process was stopped or frozen: it answers when somebody lets it go on, however late."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} stands still")
        self.pid = pid


class NoEngine(NoAnswer):
    """Signal that what answers there does not speak as an engine does."""


class ApiError(Exception):
    """Hold the engine's error: its status and message."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def call(
    path: str,
    method: str,
    api: str,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    timeout: float = READ_TIMEOUT_S,
) -> Any:
    """Make one call on the socket at `path`, such as GET `/containers/json`; return the JSON, None if empty.

    Raises NoAnswer or ApiError. `timeout` limits the whole call, in seconds.
    """
    content = b"" if body is None else json.dumps(body).encode()
    try:
        answer = _exchange(path, _request(method, api, query, content), timeout)
    except TimeoutError as error:
        raise TooSlow(f"timed out after {timeout:.0f} s") from error
    except BlockingIOError as error:  # of `connect`: more callers wait than the socket takes
        raise TooSlow("timed out before it took the call") from error
    except OSError as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    return _parsed(answer)


def _parsed(answer: bytes) -> Any:
    """Return the JSON of an answer. An engine that is killed leaves it empty, or ends in the middle of it."""
    if not answer:
        raise NoAnswer("it closed the connection without an answer")
    head, blank, content = answer.partition(b"\r\n\r\n")
    protocol, status = [*head.split(maxsplit=2), b"", b""][:2]
    if not protocol.startswith(b"HTTP/") or not status.isdigit():
        raise NoEngine("its answer cannot be parsed")
    if not blank:
        raise NoAnswer("it closed the connection in the middle of its answer")
    try:
        value = json.loads(content) if content else None
    except ValueError as error:
        if int(status) < 400 and not is_whole(head, content):
            raise NoAnswer("it closed the connection in the middle of its answer") from error
        if int(status) < 400:
            raise NoEngine("its answer cannot be parsed") from error
        value = None
    if int(status) >= 400:
        raise ApiError(int(status), message_of(int(status), value))
    return value


def is_whole(head: bytes, content: bytes) -> bool:
    """Return whether an answer says how long it is, and is as long."""
    lengths = [line.partition(b":")[2].strip() for line in head.lower().split(b"\r\n") if b"length:" in line]
    return any(length.isdigit() and int(length) <= len(content) for length in lengths)


def message_of(status: int, value: Any) -> str:
    """Return the engine's message for a rejected call. Raises NoEngine if it is none: each of an engine's has
    one, and a web server's page has not; NoAnswer for that of a proxy that reaches no engine.
    """
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    error = NoEngine if status < 500 else NoAnswer
    raise error(f"HTTP {status}, without a message")


def _request(method: str, api: str, query: Mapping[str, Any] | None, content: bytes = b"") -> bytes:
    head = (
        f"{method} {target(api, query)} HTTP/1.0\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")


def _quoted(text: str) -> str:
    """Return it as a value in a query, as `urllib.parse` does, which takes longer to load than an answer."""
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def target(api: str, query: Mapping[str, Any] | None) -> str:
    """Return the path of a call with its query."""
    words = "&".join(f"{name}={_quoted(word(value))}" for name, value in (query or {}).items())
    return f"{api}?{words}" if words else api


class Stream:
    """Read an endless answer: one JSON value per line. After the request it never blocks; use `select`."""

    def __init__(self, path: str, api: str, query: Mapping[str, Any]) -> None:
        """Send the request. Raises NoAnswer."""
        self._socket = _socket.socket(_socket.AF_UNIX)
        self._rest = b""
        self._has_head = False
        try:
            self._socket.settimeout(READ_TIMEOUT_S)
            self._socket.connect(path)
            self._socket.sendall(_request("GET", api, query))
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise NoAnswer(str(error) or type(error).__name__) from error

    def fileno(self) -> int:
        """Return the descriptor for `select`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def values(self) -> list[Any]:
        """Return what has arrived since the last call, possibly nothing. Raises NoAnswer at its end."""
        is_over = False
        try:
            while piece := self._socket.recv(1 << 16):
                self._rest += piece
            is_over = True
        except BlockingIOError:
            pass
        except OSError as error:
            raise NoAnswer(str(error) or type(error).__name__) from error
        values = self._complete()
        if is_over and not values:
            raise NoAnswer("the connection was closed")
        return values

    def _complete(self) -> list[Any]:
        if not self._has_head:
            head, blank, rest = self._rest.partition(b"\r\n\r\n")
            if not blank:
                return []
            if head.split(maxsplit=2)[1:2] != [b"200"]:
                raise NoAnswer(head.partition(b"\r\n")[0].decode(errors="replace"))
            self._has_head, self._rest = True, rest
        *lines, self._rest = self._rest.split(b"\n")
        try:
            return [json.loads(line) for line in lines if line.strip()]
        except ValueError as error:
            raise NoAnswer("its answer cannot be parsed") from error


def _exchange(path: str, request: bytes, timeout: float) -> bytes:
    """Send an HTTP/1.0 request: the answer ends with the connection, so that nothing must be decoded.

    Raises StandsStill for an engine that cannot answer, however long it is waited for.
    """
    deadline = time.monotonic() + timeout
    with closing(_socket.socket(_socket.AF_UNIX)) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(request)
        pieces: list[bytes] = []
        stood_still = None
        while True:
            left = deadline - time.monotonic()
            connection.settimeout(max(0.001, min(left, STANDS_STILL_S)))
            try:
                piece = connection.recv(1 << 18)
            except TimeoutError:
                if left <= STANDS_STILL_S:
                    raise
                from manager.engine import engine_process  # only for an engine that is silent

                stands_still = engine_process.standing_still(connection)
                if stands_still is not None and stands_still == stood_still:
                    raise StandsStill(stands_still) from None
                stood_still = stands_still
                continue
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def word(value: Any) -> str:
    """Return a value as written in a query: filters are JSON."""
    return value if isinstance(value, str) else json.dumps(value)
