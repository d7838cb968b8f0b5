"""The thread that looks at the fleet: an engine that hangs holds up this, and never a key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from textual.message import Message

from manager.errors import ManagerError
from manager.monitor.top.source import Snapshot, Source

FIRST_PAUSE_S = 0.5
"""Between the first look and the second: CPU is known only then."""


class Refreshed(Message):
    """The fleet was looked at; `error` where that was not possible."""

    def __init__(self, snapshot: Snapshot | None, error: ManagerError | None) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.error = error


class Refresher:
    """Looks every `interval` seconds, from `begin` to `end`. `on_bug` is told of what is no ManagerError, and nothing follows it."""

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
        """Starts the thread, which does not keep the process from ending."""
        threading.Thread(target=self._look_on, daemon=True).start()

    def at_once(self) -> None:
        """The next look is due now: something has changed."""
        self._look_now.set()

    def end(self) -> None:
        """No look begins any more."""
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
