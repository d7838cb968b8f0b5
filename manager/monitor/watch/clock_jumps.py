"""Tell by how much the clock was set since the last look, so that what is remembered is as old as it was."""

from __future__ import annotations

import time

LEAST_S = 2.0
"""Less is a clock that is slewed, or a process that had to wait between two readings."""


class ClockJumps:
    """Compare the clock with the time since boot, which no setting of the clock moves.

    The time for which a machine was suspended is a jump too: nothing has happened in it.
    """

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def since_last(self) -> float:
        """Return by how many seconds it was set since the last call; 0.0 if it was not."""
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        jump = self._ahead - before
        return jump if abs(jump) >= LEAST_S else 0.0
