"""Carry a stop request from a signal handler to the loop, without locks."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from types import FrameType

LONGEST_S = 1_000_000
"""The longest time-out that poll accepts."""


class StopSignal:
    """Record the first SIGTERM, SIGINT or call of ``set``. Later ones change nothing; it is never cleared.

    A pipe wakes the loop, because setting a ``threading.Event`` in a signal handler can deadlock with the
    main thread that is waiting on it.
    """

    BY_PAGE = "stopped on the web page"

    def __init__(self) -> None:
        self.reason: str | None = None
        self.requested_at: float | None = None  # by time.monotonic()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)

    def install(self) -> None:
        """Handle SIGTERM and SIGINT. Call it from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def ignore(self) -> None:
        """Ignore both signals, because Python restores deadly defaults of caught ones while it shuts down."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def set(self, reason: str) -> None:
        """Request the stop; the first reason is kept."""
        if self.reason is None:
            self.requested_at = time.monotonic()
            self.reason = reason
        self.wake()

    def is_set(self) -> bool:
        """Tell whether a stop was requested."""
        return self.reason is not None

    def wake(self) -> None:
        """End the current or the next ``wait`` early."""
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`, less if woken. Return whether a stop was requested."""
        if not self.is_set() and seconds > 0:
            readable = select.poll()  # unlike `select`, it takes every descriptor
            readable.register(self._reader, select.POLLIN)
            readable.poll(min(seconds, LONGEST_S) * 1000)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass
        return self.is_set()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.set(signal.Signals(signum).name)
