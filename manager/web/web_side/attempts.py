"""Limit how often a password can be guessed: by one address, and by all of them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FREE = 5
"""Wrong passwords in a row that cause no delay, since people mistype."""
FREE_OF_ALL = 50
FIRST_PAUSE_S = 4.0
LONGEST_S = 900.0
MOST_ADDRESSES = 1000
ALL = ""


class Attempts:
    """Count wrong passwords. After the free ones, each doubles the time until the next one is looked at."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}

    def begin(self, address: str) -> float:
        """Return 0 and count a try, which `succeeded` takes back; or for how many seconds none counts."""
        now = self._clock()
        with self._lock:
            wait = max(self._until(address, FREE), self._until(ALL, FREE_OF_ALL)) - now
            if wait > 0:
                return wait
            for source in (address, ALL):
                count, _at = self._wrong.pop(source, (0, 0.0))
                self._wrong[source] = (count + 1, now)
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.pop(next(source for source in self._wrong if source != ALL))
        return 0.0

    def failed(self, address: str) -> None:
        """Let the pause begin now: looking at a password takes a while itself."""
        with self._lock:
            for source in (address, ALL):
                count, _at = self._wrong.get(source, (1, 0.0))
                self._wrong[source] = (count, self._clock())

    def succeeded(self, address: str) -> None:
        """Forget the wrong ones of this address."""
        with self._lock:
            self._wrong.pop(address, None)
            count, at = self._wrong.get(ALL, (1, 0.0))
            self._wrong[ALL] = (max(0, count - 1), at)

    def _until(self, address: str, free: int) -> float:
        count, at = self._wrong.get(address, (0, float("-inf")))
        if count < free:
            return float("-inf")
        pause = min(LONGEST_S, FIRST_PAUSE_S * 2.0 ** min(count - free, 20))
        if self._clock() - at > LONGEST_S:
            self._wrong.pop(address, None)  # long ago: it may be another user
            return float("-inf")
        return at + pause
