"""Wait for a condition that has no notification."""

from __future__ import annotations

import time
from collections.abc import Callable

NEVER = float("inf")


def wait_until(
    is_so: Callable[[], bool],
    deadline: float = NEVER,
    poll: float | Callable[[], float] = 1.0,
    sleep: Callable[[float], object] | None = None,
) -> bool:
    """Poll a condition until it holds. Returns False when the deadline (monotonic clock) has passed.

    It is evaluated at least once. `poll`: seconds between two evaluations, or a function that returns them.
    `sleep`: a wait that can be interrupted, such as an Event's.
    """
    while not is_so():
        if time.monotonic() >= deadline:
            return False
        (sleep or time.sleep)(poll() if callable(poll) else poll)
    return True
