"""Pause between attempts, longer each time and never equal in two bots."""

from __future__ import annotations

import random
import time

from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal

# The first pauses are this long at least, however short the tick interval is.
MIN_PAUSE_S = 0.5
# A banned address is asked this seldom at most; exchanges extend a ban when they are asked again.
BAN_PAUSE_S = 300.0
# While it waits for longer than this, the loop shows that it is alive.
WAIT_STEP_S = 1.0


class RetryPauses:
    """Return growing pauses up to `cap` seconds.

    Half of a pause is random, so that bots that lost one exchange together do not all return in one second.
    """

    def __init__(self, first: float, cap: float, rng: random.Random | None = None) -> None:
        self._first, self._cap = max(first, MIN_PAUSE_S), cap
        self._random = rng or random.Random()
        self._attempts = 0

    def next(self, at_least: float | None = None) -> float:
        """Return the next pause. `at_least` is what the exchange asked for (Retry-After), up to a limit."""
        pause = min(self._first * 2.0 ** min(self._attempts, 20), self._cap)
        self._attempts += 1
        pause *= self._random.uniform(0.5, 1.0)
        if at_least is not None:
            pause += min(at_least, BAN_PAUSE_S)
        return pause

    def reset(self) -> None:
        """Start again with the first pause."""
        self._attempts = 0


def wait(shared: SharedState, stop: StopSignal, seconds: float) -> bool:
    """Wait, in steps that show that the loop is alive. Return whether a stop was requested.

    It ends early when the web threads wake the loop.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
        shared.record_tick()
        step, began = min(left, WAIT_STEP_S), time.monotonic()
        if stop.wait(step) or time.monotonic() - began < step * 0.9:
            break
    return stop.is_set()
