"""Wait for a stream, whatever number its descriptor has: `select` takes none above 1023."""

from __future__ import annotations

from manager.typed import Protocol


class HasDescriptor(Protocol):
    """Hold anything that a poll takes."""

    def fileno(self) -> int:
        """Return its descriptor."""


def wait_readable(stream: HasDescriptor | int, seconds: float, *others: HasDescriptor) -> bool:
    """Return whether the stream, or one of the others, can be read, or has ended, within `seconds`."""
    import select  # which a short command does without

    poll = select.poll()
    for one in (stream, *others):
        poll.register(one, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))
