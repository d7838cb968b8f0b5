"""A clock that goes on only when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable

STARTED_AT = 1_764_500_000.0
BOOTED_AT = STARTED_AT - 10_000.0


class Clock:
    """Time as a test tells it. `listeners` are called after every step."""

    def __init__(self, now: float = STARTED_AT) -> None:
        self._now = now
        self.set_by = 0.0
        """By how much somebody has set it forward."""
        self._due: list[tuple[float, Callable[[], object]]] = []
        self.listeners: list[Callable[[], object]] = []

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._now + self.set_by

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return self._now - BOOTED_AT

    uptime = monotonic

    def sleep(self, seconds: float) -> None:
        """Go on by so many seconds, and do what has become due."""
        self._now += seconds
        for due in [due for due in self._due if due[0] <= self._now]:
            self._due.remove(due)
            due[1]()
        for listener in self.listeners:
            listener()

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Have something done when so many seconds have passed."""
        self._due.append((self._now + seconds, do))
