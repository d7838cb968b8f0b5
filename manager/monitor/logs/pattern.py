"""`--grep`: a regular expression that cannot hang the command."""

from __future__ import annotations

import re
import signal
import threading
from types import FrameType

from manager.errors import UsageError

LOOKED_AT = 1 << 14
"""Characters of a line."""

PATIENCE_S = 2.0
"""For one line. A pattern such as `(a+)+$` takes longer than anybody lives, on a line of forty characters too."""


class Pattern:
    """Which lines are wanted. Only the main thread can interrupt a search; elsewhere it takes the time it takes."""

    def __init__(self, expression: re.Pattern[str]) -> None:
        self._expression = expression
        self._is_timed = threading.current_thread() is threading.main_thread()
        if self._is_timed:
            signal.signal(signal.SIGALRM, self._give_up)

    def matches(self, line: bytes) -> bool:
        """Whether the pattern stands somewhere in the line's first 16384 characters. Raises UsageError for one that hangs."""
        text = line[: 4 * LOOKED_AT].decode("utf-8", "replace")[:LOOKED_AT]
        if not self._is_timed:
            return self._expression.search(text) is not None
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        try:
            return self._expression.search(text) is not None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        raise UsageError(
            "the pattern {pattern} takes more than {seconds} s for one line; write it without repeated repetitions",
            pattern=self._expression.pattern, seconds=round(PATIENCE_S),
        )  # fmt: skip
