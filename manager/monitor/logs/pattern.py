"""Match `--grep`, a regular expression that must not hang the command."""

from __future__ import annotations

import re
import signal
import threading
from types import FrameType

from manager.errors import UsageError

MAX_CHARACTERS = 1 << 14
"""The part of a line that is searched."""

TIMEOUT_S = 2.0
"""Time limit per line against catastrophic backtracking, as with `(a+)+$`."""


class Pattern:
    """Match lines against a pattern.

    The timeout works in the main thread only, the one that receives signals.
    """

    def __init__(self, expression: re.Pattern[str]) -> None:
        self._expression = expression
        self._is_timed = threading.current_thread() is threading.main_thread()
        if self._is_timed:
            signal.signal(signal.SIGALRM, self._time_out)

    def matches(self, line: bytes) -> bool:
        """Return whether the line's first 16384 characters contain the pattern.

        Raises UsageError at the timeout.
        """
        text = line[: 4 * MAX_CHARACTERS].decode("utf-8", "replace")[:MAX_CHARACTERS]
        if not self._is_timed:
            return self._expression.search(text) is not None
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
        try:
            return self._expression.search(text) is not None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _time_out(self, _number: int, _frame: FrameType | None) -> None:
        raise UsageError(
            "pattern {pattern} takes more than {seconds} s on a single line; avoid nested repetitions",
            pattern=self._expression.pattern,
            seconds=round(TIMEOUT_S),
        )
