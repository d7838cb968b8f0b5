"""The engine's API over its local socket: a call in, JSON out, in a fifth of the time the SDK takes for it.

HTTP/1.0 and JSON only. Logs, and every other kind of endpoint, are the SDK's business (docker_sdk.py).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

READ_TIMEOUT_S = 10
"""A list of 200 containers takes 50 ms; an engine that is silent for this long hangs."""

CALL_TIMEOUT_S = 60
"""A create or remove on a busy disk takes seconds; a minute of silence is an engine that hangs."""


class NoAnswer(Exception):
    """The socket is not there, refuses, or stays silent."""


class TooSlow(NoAnswer):
    """It is there, and has not answered in time."""


class ApiError(Exception):
    """The engine answered with an error: its status and its words."""

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
    """One call on the socket at `path`, such as GET `/containers/json`; the answer's JSON, None where it has none.

    Raises NoAnswer or Refused. `timeout` bounds the whole call, in seconds.
    """
    content = b"" if body is None else json.dumps(body).encode()
    try:
        request = _request(method, api, query, content)
        head, blank, answer = _exchange(path, request, timeout).partition(b"\r\n\r\n")
        status = int(head.split(maxsplit=2)[1])
        value = json.loads(answer) if answer else None
    except TimeoutError as error:
        raise TooSlow(f"timed out after {timeout:.0f} s") from error
    except OSError as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    except (ValueError, IndexError) as error:
        raise NoAnswer("its answer cannot be parsed") from error
    if not blank:
        raise NoAnswer("its answer cannot be parsed")
    if status >= 400:
        raise ApiError(status, str(value.get("message", "")) if isinstance(value, dict) else "")
    return value


def _request(method: str, api: str, query: Mapping[str, Any] | None, content: bytes = b"") -> bytes:
    words = "&".join(f"{name}={quote(word(value), safe='')}" for name, value in (query or {}).items())
    head = (
        f"{method} {api}{'?' if words else ''}{words} HTTP/1.0\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Stream:
    """An answer that does not end: JSON values, a line each. Never waits after the request is out; `select` tells when to read."""

    def __init__(self, path: str, api: str, query: Mapping[str, Any]) -> None:
        """Raises NoAnswer."""
        self._socket = socket.socket(socket.AF_UNIX)
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
        """For `select`."""
        return self._socket.fileno()

    def close(self) -> None:
        """Gives the connection back."""
        self._socket.close()

    def values(self) -> list[Any]:
        """What has come since the last time, perhaps nothing. Raises NoAnswer at its end: an engine that goes says no more."""
        is_over = False
        try:
            while piece := self._socket.recv(1 << 16):
                self._rest += piece
            is_over = True
        except BlockingIOError:
            pass
        except OSError as error:
            raise NoAnswer(str(error) or type(error).__name__) from error
        found = self._complete()
        if is_over and not found:
            raise NoAnswer("the connection was closed")
        return found

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
    """HTTP/1.0: the answer comes in one piece and ends with the connection, so that there is nothing to decode."""
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(request)
        pieces = []
        while piece := connection.recv(1 << 18):
            pieces.append(piece)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
    return b"".join(pieces)


def word(value: Any) -> str:
    """A value as it stands in a query: filters are JSON."""
    return value if isinstance(value, str) else json.dumps(value)
