"""Pause between attempts, longer each time and never equal in two bots."""

from __future__ import annotations

import random
import time

from gridbot.model.errors import ExchangeError
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal

# The first pauses are this long at least, however short the tick interval is.
MIN_PAUSE_S = 0.5
# The longest Retry-After that is waited for: the exchange may be back earlier.
RETRY_AFTER_LIMIT_S = 300.0
# The same of a ban, which exchanges extend when they are asked meanwhile. None is known to be longer.
BAN_LIMIT_S = 3 * 86400.0
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

    def after(self, err: ExchangeError) -> float:
        """Return the pause after a failed call, which the exchange's Retry-After makes longer."""
        return self.next(asked_pause(err))

    def next(self, at_least: float = 0.0) -> float:
        """Return the next pause, which is added to `at_least`."""
        pause = min(self._first * 2.0 ** min(self._attempts, 20), self._cap)
        self._attempts += 1
        pause *= self._random.uniform(0.5, 1.0)
        return at_least + pause

    def reset(self) -> None:
        """Start again with the first pause."""
        self._attempts = 0


def asked_pause(err: ExchangeError) -> float:
    """Return the seconds for which the exchange asked not to be asked, up to a limit."""
    limit = BAN_LIMIT_S if err.cause == "banned" else RETRY_AFTER_LIMIT_S
    return min(err.retry_after or 0.0, limit)


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
