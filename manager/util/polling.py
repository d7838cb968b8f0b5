"""Waits for something that tells nobody when it happens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def wait_until(
    is_so: Callable[[], bool],
    deadline: float = math.inf,
    poll: float | Callable[[], float] = 1.0,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Ask until it is so; return whether it was, False when the deadline (monotonic clock) has passed.

    It is asked at least once. `poll`: seconds between two questions, or what tells them each time. `sleep`: a wait that
    something else may end, such as an Event's.
    """
    while not is_so():
        if time.monotonic() >= deadline:
            return False
        sleep(poll() if callable(poll) else poll)
    return True
