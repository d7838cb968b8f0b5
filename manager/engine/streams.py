"""Define what an engine streams: a bot's two outputs, by the names in files and JSON, and events."""

from __future__ import annotations

from collections.abc import Iterator

from manager.typed import Any, Literal, Protocol

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")

TELLING_EVENTS = (
    *("create", "start", "kill", "stop", "die", "destroy"),
    *("pause", "unpause", "oom", "rename", "update"),
)
"""Without the health checks' execs, of which there are three a minute per container."""

FRAME_HEAD = 8
"""Bytes that precede each frame of a log: the stream's number, three of nothing, and the frame's size."""
STDERR = 2
READ_AHEAD = 1 << 16
"""Bytes. With a buffer, lines that are there already are read in a third of the time."""


class Readable(Protocol):
    """Describe a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer at the end."""


def read_frames(source: Readable) -> Iterator[tuple[Stream, bytes]]:
    """Yield (stream, frame) pairs until the source ends."""
    while len(head := source.read(FRAME_HEAD)) == FRAME_HEAD:
        yield STREAMS[head[0] == STDERR], source.read(int.from_bytes(head[4:], "big"))


class EventStream(Protocol):
    """Describe an endless answer: JSON values, for `select`."""

    def fileno(self) -> int:
        """Return the descriptor for `select`."""

    def values(self) -> list[Any]:
        """Return what has arrived since the last call, possibly nothing.

        Raises http_socket.NoAnswer at its end.
        """

    def close(self) -> None:
        """Close the connection."""
