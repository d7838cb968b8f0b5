"""Tell that a signal has come. It is no Event: a handler that sets one may wait for its own thread's lock."""

from __future__ import annotations

import time

POLL_S = 0.1


class SignalFlag:
    """Hold whether a signal has come, for handlers to set. It is never cleared."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self, *_: object) -> None:
        """Set it. It takes no lock, and may be a handler itself."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until it is set, or POLL_S more. Return whether it is."""
        deadline = time.monotonic() + seconds
        while not self._is_set and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, POLL_S))
        return self._is_set
