"""What streams from an engine: a bot's two outputs, by the names that files and JSON use, and events."""

from __future__ import annotations

from typing import Any, Literal, Protocol

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")


class EventStream(Protocol):
    """An answer that does not end: JSON values. `select` tells when to read."""

    def fileno(self) -> int:
        """For `select`."""

    def values(self) -> list[Any]:
        """What has come since the last time, perhaps nothing. Raises http_socket.NoAnswer at its end."""

    def close(self) -> None:
        """Gives the connection back."""
