"""Define what an engine streams: a bot's two outputs, by the names in files and JSON, and events."""

from __future__ import annotations

from typing import Any, Literal, Protocol

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")


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
