"""Share state between the loop and the web threads. No other object is used by both."""

from __future__ import annotations

import time
from typing import Any

# The contract says three intervals without a tick; less than this only measures a busy machine.
MIN_TICK_TIMEOUT_S = 5.0


class SharedState:
    """Hold attributes that are replaced whole, never changed in place, so that readers need no lock."""

    def __init__(self, interval: float, out_of_reach: float) -> None:
        """Start without a tick. `out_of_reach` seconds without an answer of the exchange are unhealthy."""
        self.started_at = time.time()
        self.status: dict[str, Any] = {}
        self.note: str | None = "starting"
        self.finished = False
        self._out_of_reach = out_of_reach
        self._tick_timeout = max(3 * interval, MIN_TICK_TIMEOUT_S)
        self._last_tick: float | None = None
        self._last_answer: float | None = None
        # Set by the web threads, applied by the loop.
        self.pause_requested: bool | None = None

    def record_tick(self) -> None:
        """Note that the loop is alive."""
        self._last_tick = time.monotonic()

    def record_answer(self) -> None:
        """Note that the exchange has answered."""
        self._last_answer = time.monotonic()
        self.note = None

    @property
    def last_tick_age(self) -> float | None:
        """Return the seconds since the last tick, None before the first."""
        return None if self._last_tick is None else time.monotonic() - self._last_tick

    def health(self) -> tuple[bool, str | None]:
        """Tell whether the bot trades, and if not, why."""
        now = time.monotonic()
        if self.finished:
            return False, "stopping"
        if self._last_tick is None or self._last_answer is None or not self.status:
            return False, self.note or "starting"
        if now - self._last_tick > self._tick_timeout:
            return False, f"the trading loop has not ticked for {now - self._last_tick:.0f} s"
        if now - self._last_answer > self._out_of_reach:
            return (
                False,
                self.note or f"the exchange has been out of reach for {now - self._last_answer:.0f} s",
            )
        return True, None
