"""The wish to stop, as a signal handler can carry it: no locks, and it wakes the sleeping loop."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from types import FrameType


class StopSignal:
    """Set once by SIGTERM or SIGINT (or ``set``), never cleared; a second signal changes nothing.

    A pipe instead of ``threading.Event``: setting an Event in a signal handler can deadlock with the main thread
    that is waiting on it.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.asked_at: float | None = None  # by time.monotonic()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)

    def install(self) -> None:
        """Take over SIGTERM and SIGINT. Main thread only."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def ignore(self) -> None:
        """The work is done. While Python shuts down it sets caught signals back to deadly, but not ignored ones."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def set(self, reason: str) -> None:
        """Ask for the stop; the first reason wins."""
        if self.reason is None:
            self.asked_at = time.monotonic()
            self.reason = reason
        self.wake()

    def is_set(self) -> bool:
        return self.reason is not None

    def wake(self) -> None:
        """End the current or the next ``wait`` early."""
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`, less if woken. True when a stop was asked for."""
        if not self.is_set() and seconds > 0:
            select.select([self._reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        return self.is_set()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.set(signal.Signals(signum).name)
