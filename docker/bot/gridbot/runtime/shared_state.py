"""Share state between the loop and the web threads. No other object is used by both."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from gridbot.model.condition import Condition

# The contract says three intervals without a tick; less than this only measures a busy machine.
MIN_TICK_TIMEOUT_S = 5.0
# A start without a sign of life for this long is stuck. Imports take tens of seconds on a busy machine, and
# an exchange that sends its markets in small pieces meets no timeout.
START_TIMEOUT_S = 240.0


@dataclass(frozen=True, slots=True)
class Health:
    """Hold an answer of /health: `healthy`, `degraded` (alive, but unable to trade), `starting` or
    `unhealthy`.
    """

    status: str
    reason: str | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether the answer is 200."""
        return self.status in {"healthy", "degraded"}


class SharedState:
    """Hold attributes that are replaced whole, never changed in place, so that readers need no lock."""

    def __init__(self, interval: float) -> None:
        self.started_at = time.time()
        self.status: dict[str, Any] = {}
        # None until the bot trades, or knows why it cannot.
        self.condition: Condition | None = None
        # Whether the loop has run once. Until then the exchange's markets are loaded, which may take long.
        self.has_begun = False
        self.finished = False
        self._tick_timeout = max(3 * interval, MIN_TICK_TIMEOUT_S)
        self._began = time.monotonic()
        self._last_tick: float | None = None
        self._call_ends = 0.0
        # Set by the web threads, applied by the loop.
        self.pause_requested: bool | None = None

    def record_tick(self, busy_for: float = 0.0) -> None:
        """Note that the loop is alive, and that a call which begins now may take `busy_for` seconds."""
        self._last_tick = time.monotonic()
        self._call_ends = self._last_tick + busy_for

    @property
    def last_tick_age(self) -> float | None:
        """Return the seconds since the last tick, None before the first."""
        return None if self._last_tick is None else time.monotonic() - self._last_tick

    def health(self) -> Health:
        """Tell whether the bot trades, and if not, why."""
        now = time.monotonic()
        if self.finished:
            return Health("unhealthy", "stopping")
        last_sign = self._began if self._last_tick is None else self._last_tick
        overdue_s = now - max(last_sign, self._call_ends)
        if not self.has_begun and overdue_s > START_TIMEOUT_S:
            return Health("unhealthy", f"the start has not got on for {now - last_sign:.0f} s")
        if self._last_tick is None or self.condition is None:
            return Health("starting", "starting")
        if self.has_begun and overdue_s > self._tick_timeout:
            return Health("unhealthy", f"the trading loop has not ticked for {now - last_sign:.0f} s")
        if self.condition.is_degraded:
            return Health("degraded", self.condition.reason)
        return Health("healthy")
