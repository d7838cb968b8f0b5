"""Show pending work on the last line of a terminal.

A bot may take a minute to stop, and silence looks like a hang.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from shutil import get_terminal_size
from threading import Event, Lock, Thread
from types import TracebackType

from manager.i18n import Text
from manager.util import console, text_table

FIRST_AFTER_S = 1.0
"""Work that ends within a second needs no progress line."""
INTERVAL_S = 0.5
CLEAR = "\r\x1b[K"


class Progress:
    """Show the pending ids until each is `done`, on a terminal only: `with Progress(ids) as progress:`."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._pending = dict.fromkeys(ids)
        self._total = len(self._pending)
        self._started = time.monotonic()
        self._ended = Event()
        self._writing = Lock()
        self._thread = Thread(target=self._show, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write("")

    def finish(self, instance: str, line: object) -> None:
        """Print a line above the progress line, and remove the instance from it."""
        with self._writing:
            self._pending.pop(instance, None)
            sys.stdout.write(CLEAR)
            console.say(line)

    def _show(self) -> None:
        wait = FIRST_AFTER_S
        while not self._ended.wait(wait):
            wait = INTERVAL_S
            if self._pending:
                self._write(self._line())

    def _line(self) -> str:
        text = Text(
            "{count} of {total} in progress, {seconds} s: {ids}",
            count=len(self._pending),
            total=self._total,
            seconds=round(time.monotonic() - self._started),
            ids=", ".join(list(self._pending)),
        )
        return text_table.cut(str(text), get_terminal_size().columns - 1)

    def _write(self, text: str) -> None:
        with self._writing, console.writing():
            sys.stdout.write(f"{CLEAR}{text}")
            sys.stdout.flush()
