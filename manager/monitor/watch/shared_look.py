"""Share what `watch` observes with the page of the same process: the containers are listed once for both."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.observe import FleetSnapshot
from manager.fleet.supervisor_state import SupervisorState
from manager.typed import NamedTuple

GOOD_FOR_S = 4.0
"""`watch` looks for changes every second, unless it is at work: then its last look is not the present."""


class Shared(NamedTuple):
    """Hold a look, with the supervisors' states and the bots' reports as read since then. `at`: when these
    were, monotonic.
    """

    snapshot: FleetSnapshot
    states: Mapping[str, SupervisorState | None]
    reports: Mapping[str, KeptReport | None]
    at: float


class Answers(NamedTuple):
    """Hold what the bots have answered, by their containers. `asked_at`: when they were asked, monotonic."""

    asked_at: float
    reports: Mapping[str, Report]


NO_ANSWERS = Answers(float("-inf"), {})


class SharedLook:
    """Hold the last look of `watch`, for readers in other threads.

    There is none while no `watch` runs here, the engine is away, or the project cannot be read: what is wrong
    then is found by whoever reads, and told in its own words.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], object] = lambda: None
        """Called in the thread of `watch` after a look for which there was a reason."""
        self.answers = NO_ANSWERS
        """What `watch` was answered last by the bots."""
        self._answered = threading.Condition()
        self._last: Shared | None = None
        self._asked = self._begun = self._done = 0
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)

    def latest(self) -> Shared | None:
        """Return the last look, if it is of now."""
        last = self._last
        return last if last is not None and time.monotonic() - last.at < GOOD_FOR_S else None

    def ask(self, within: float) -> Shared | None:
        """Return a look that begins after this call; None if there is none within so many seconds."""
        if self.latest() is None:
            return None
        with self._answered:
            self._asked += 1
            mine = self._asked
            self._wake()
            self._answered.wait_for(lambda: self._done >= mine, within)
            return self.latest() if self._done >= mine else None

    @property
    def ear(self) -> socket.socket:
        """Return what can be read as soon as somebody asks."""
        return self._ear

    def is_asked(self) -> bool:
        """Return whether somebody has asked since the last call: for `watch`, which then looks."""
        with self._answered:
            with suppress(BlockingIOError):
                while self._ear.recv(64):
                    pass
            is_new, self._begun = self._asked > self._begun, self._asked
        return is_new

    def put(
        self,
        snapshot: FleetSnapshot,
        states: Mapping[str, SupervisorState | None],
        reports: Mapping[str, KeptReport | None],
    ) -> None:
        """Take what `watch` has seen by now, and answer whoever has asked before it was looked for."""
        with self._answered:
            self._last = Shared(snapshot, states, reports, time.monotonic())
            self._answer()

    def withdraw(self) -> None:
        """Have no look: `watch` ends, or sees nothing."""
        with self._answered:
            self._last = None
            self._answer()

    def _answer(self) -> None:
        if self._done != self._begun:
            self._done = self._begun
            self._answered.notify_all()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it has not yet heard those before
            self._mouth.send(b"?")
