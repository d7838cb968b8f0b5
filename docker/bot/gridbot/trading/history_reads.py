"""Choose from when on executions are read: a busy account may have thousands, on many pages, in a day."""

from __future__ import annotations

from collections.abc import Sequence, Set

from gridbot.model.types import Fill, UnreadableFill

# Histories are read from this long before the last known execution: exchanges list some late and out of
# order.
OVERLAP_S = 120.0
# If one listing has this many executions, the next one is only read from its newest execution on.
MANY = 300
# How often all of them are read again, because nothing else shows one that is listed even later. More often
# while an order has filled more than is booked, or is missing: before it is given up (LOST_AFTER_S).
ALL_EVERY_S = 600.0
ALL_WHILE_BEHIND_S = 45.0


class HistoryReads:
    """Remember the newest execution of a long listing, and when all of it was read last."""

    def __init__(self) -> None:
        self._newest: float | None = None
        self._all_read_at = 0.0
        self._reads_all = True
        self._behind: Set[int] = frozenset()
        self._is_behind = False

    def note_behind(self, orders: Set[int]) -> None:
        """Take down the client ids of orders that are missing, or listed with more than is booked."""
        # Seen once, it is mostly an execution that is not listed yet.
        self._is_behind = bool(self._behind & orders)
        self._behind = orders

    def begin(self, start: float, now: float) -> float:
        """Return since when to read, where executions since `start` may not be booked."""
        every = ALL_WHILE_BEHIND_S if self._is_behind else ALL_EVERY_S
        self._reads_all = self._newest is None or not 0 <= now - self._all_read_at < every
        if self._newest is not None and not self._reads_all:
            start = max(start, min(self._newest, now))
        return start - OVERLAP_S

    def end(self, executions: Sequence[Fill | UnreadableFill], now: float) -> None:
        """Take down what was read."""
        times = [execution.at for execution in executions if isinstance(execution, Fill)]
        if self._reads_all:
            self._all_read_at = now
            self._newest = max(times) if times and len(executions) >= MANY else None
        elif self._newest is not None:
            self._newest = max([self._newest, *times])
