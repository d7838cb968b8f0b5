"""Observe the fleet in a thread: an engine that hangs must not delay a key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from textual.message import Message

from manager.errors import ManagerError
from manager.monitor.top.source import Snapshot, Source

FIRST_PAUSE_S = 0.5
"""Delay between the first two observations: CPU is known only after the second."""


class Refreshed(Message):
    """Report an observation of the fleet, or the `error` that prevented it."""

    def __init__(self, snapshot: Snapshot | None, error: ManagerError | None) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.error = error


class Refresher:
    """Observe every `interval` seconds, from `begin` to `end`.

    `on_bug` receives unexpected exceptions, and ends it.
    """

    def __init__(
        self,
        source: Source,
        interval: float,
        post: Callable[[Refreshed], object],
        on_bug: Callable[[Exception], object],
    ) -> None:
        self._source, self._interval, self._post, self._on_bug = source, interval, post, on_bug
        self._look_now = threading.Event()
        self._has_ended = threading.Event()

    def begin(self) -> None:
        """Start the thread, which does not prevent the process from exiting."""
        threading.Thread(target=self._look_on, daemon=True).start()

    def at_once(self) -> None:
        """Observe again immediately, because something has changed."""
        self._look_now.set()

    def end(self) -> None:
        """Stop observing."""
        self._has_ended.set()
        self._look_now.set()

    def _look_on(self) -> None:
        pause = min(self._interval, FIRST_PAUSE_S)
        while not self._has_ended.is_set():
            began = time.monotonic()
            try:
                self._post(Refreshed(self._source.look(), None))
            except ManagerError as error:
                self._post(Refreshed(None, error))
            except Exception as error:  # noqa: BLE001 - a bug: the main thread has the means to report it
                self._on_bug(error)
                return
            self._look_now.wait(max(0.0, began + pause - time.monotonic()))
            self._look_now.clear()
            pause = self._interval
