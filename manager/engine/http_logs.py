"""Read a container's log over the engine's local socket: frames as they arrive, in a third of the SDK's time.

In HTTP/1.1, whose chunks tell an answer that is complete from one that an engine has left when it ended.
"""

from __future__ import annotations

import _socket  # without the layer above, which takes as long to load as 100 lines take to read
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing

from manager.engine.http_socket import CALL_TIMEOUT_S, ApiError, NoAnswer, TooSlow, message_of, target
from manager.engine.streams import READ_AHEAD, Stream, read_frames

MOST_HEADER_BYTES = 1 << 16


def frames(path: str, api: str, query: Mapping[str, str], *, follow: bool) -> Iterator[tuple[Stream, bytes]]:
    """Yield (stream, frame) pairs from the socket at `path`. Raises NoAnswer or ApiError."""
    try:
        with closing(_socket.socket(_socket.AF_UNIX)) as connection:
            connection.settimeout(CALL_TIMEOUT_S)
            connection.connect(path)
            connection.sendall(
                f"GET {target(api, query)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            with io.BufferedReader(_Incoming(connection), READ_AHEAD) as answer:
                status, headers = _head(answer)
                if status >= 400:
                    raise ApiError(status, _message(status, answer))
                if follow:
                    connection.settimeout(None)
                is_chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
                yield from read_frames(
                    io.BufferedReader(_Chunks(answer), READ_AHEAD) if is_chunked else answer
                )
    except TimeoutError as error:
        raise TooSlow(f"timed out after {CALL_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise NoAnswer(str(error) or type(error).__name__) from error
    except (ValueError, IndexError) as error:
        raise NoAnswer("its answer cannot be parsed") from error


def _head(answer: io.BufferedReader[_Incoming]) -> tuple[int, dict[bytes, bytes]]:
    """Return the status and the headers, by their names in lower case."""
    status = int(answer.readline(MOST_HEADER_BYTES).split(maxsplit=2)[1])
    headers = {}
    while line := answer.readline(MOST_HEADER_BYTES).strip():
        name, _colon, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return status, headers


def _message(status: int, answer: io.BufferedReader[_Incoming]) -> str:
    try:
        value = json.loads(answer.read() or b"null")
    except ValueError:
        value = None
    return message_of(status, value)


class _Incoming(io.RawIOBase):
    """Read what arrives at a connection."""

    def __init__(self, connection: _socket.socket) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._connection.recv_into(buffer)


class _Chunks(io.RawIOBase):
    """Read the content of a chunked answer. Raises ConnectionError if it ends before its last chunk."""

    def __init__(self, answer: io.BufferedReader[_Incoming]) -> None:
        super().__init__()
        self._answer = answer
        self._left = 0
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what has arrived, at least one byte. Returns 0 at the end."""
        if not self._left and not self._is_over:
            self._left = self._next_size()
            self._is_over = not self._left
        if self._is_over:
            return 0
        piece = self._answer.read1(min(len(buffer), self._left))
        if not piece:
            raise ConnectionError("the connection was closed")
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        if not self._left:
            self._answer.readline(MOST_HEADER_BYTES)
        return len(piece)

    def _next_size(self) -> int:
        line = self._answer.readline(MOST_HEADER_BYTES)
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection was closed")
        return int(line.partition(b";")[0], 16)
