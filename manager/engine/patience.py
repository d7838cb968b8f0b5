"""Repeat a call to an engine that is slow, and tell a slow engine from one that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from manager.errors import EngineError, EngineSlow
from manager.i18n import Text
from manager.typed import TypeVar

Answer = TypeVar("Answer")

LOOK_S = 5
"""A busy engine returns its version within this time."""

LONG_LOOK_S = 45
"""A very busy one within this; one that hangs does not."""

PATIENT_S = 60.0
"""How long a command that changes a fleet waits for any answer of an engine that has been late before."""

MOST_PATIENT_S = 480.0
"""How long at most: each time that an engine which answers looks is late all the same, twice as long."""

MOST_PATIENT_STOPPING_S = 120.0
"""The same for what a command reads that only stops. For a stop it waits no longer than at first: the engine
goes on with one whose caller has given up.
"""

STOPPING_READS_S = 300.0
"""After so long such a command gives up what it reads: who stops must hear soon what still runs."""

SAY_EVERY_S = 60
"""Between two messages that the engine is slow: hundreds of calls wait at once."""


class Patience:
    """Decide for all calls of one client, which may come from many threads.

    `look`: a call that an engine answers at once unless it is very busy, or hangs; it gets the seconds to
    wait. Raises EngineError.
    """

    def __init__(self, look: Callable[[float], object]) -> None:
        self._look = look
        self._said_at = float("-inf")
        self._tell: Callable[[Text], None] = lambda _text: None
        self._goes_on = self._is_stop = False
        self._least_s = 0.0

    @property
    def silent_looks(self) -> int:
        """Return how many late looks in a row mean that the engine hangs: fewer for somebody who reads."""
        return 2 if self._goes_on else 1

    def at_least(self, timeout: float, *, is_read: bool = False) -> float:
        """Return how many seconds a call waits that needs `timeout` of an engine in time."""
        is_stop = self._is_stop and not is_read
        return max(timeout, min(self._least_s, PATIENT_S) if is_stop else self._least_s)

    def go_on(self, tell: Callable[[Text], None], *, is_stop: bool = False) -> None:
        """Give up later, and tell why it takes so long: of a command that changes a fleet.

        `is_stop`: it only stops, and gives up sooner what it reads.
        """
        self._tell, self._goes_on, self._is_stop = tell, True, is_stop

    def call(
        self,
        make: Callable[[], Answer],
        tries: int,
        silences: int,
        gone: Callable[[], EngineError],
        *,
        is_read: bool = False,
    ) -> Answer:
        """Make the call up to `tries` times, as long as it is answered too late.

        After each, a look is made. One that is refused means that the engine is gone, and says what helps;
        after `silences` late ones in a row, raises `gone()`. Raises EngineSlow after the last try.
        """
        late, began = 0, time.monotonic()
        while True:
            tries -= 1
            waited_s = self._least_s
            try:
                return make()
            except EngineSlow as error:
                slow = error
            try:  # outside of the handler: else a refused look had the time-out among its causes
                self._look(LONG_LOOK_S if self._goes_on and late == 1 else LOOK_S)
                late = 0
                if self._goes_on:  # of calls that are late together only the first one doubles it
                    most_s = MOST_PATIENT_STOPPING_S if self._is_stop else MOST_PATIENT_S
                    self._least_s = max(self._least_s, PATIENT_S, min(2 * waited_s, most_s))
            except EngineSlow:
                late += 1
            if late >= silences:
                raise gone() from slow
            is_enough = is_read and self._is_stop and time.monotonic() - began >= STOPPING_READS_S
            if tries <= 0 or is_enough:
                raise slow
            self._say(slow)

    def _say(self, error: EngineSlow) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            self._tell(Text("{why}; it is asked again", why=error))
