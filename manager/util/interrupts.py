"""Record Ctrl-C instead of raising an exception, during work that must not be interrupted.

For a halt, also tell which signal it was.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType
from typing import Any


class Interruption(KeyboardInterrupt):
    """Signal that somebody ended the program by this signal."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """Return what shells report."""
        return 128 + self.number


class Interruptions:
    """Raise Interruption at SIGINT and SIGTERM, but not within `held_back`. A terminal's end ends nothing.

    Use it in a `with` statement. It changes nothing in other threads than the main one: they get no signals.
    """

    def __init__(self) -> None:
        self._is_held_back = False
        self._came: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruptions:
        if current_thread() is main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
            self._previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Raise it only at the end of what must be done as a whole, and takes a moment."""
        self._is_held_back = True
        try:
            yield
        finally:
            self._is_held_back = False
        if self._came is not None:
            raise Interruption(self._came)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._came = number
        if not self._is_held_back:
            raise Interruption(number)


@contextmanager
def outliving_terminal() -> Iterator[None]:
    """Go on when the terminal is closed, as under `nohup`: an ssh connection may break at any moment.

    Other threads than the main one get no signals.
    """
    is_ending = current_thread() is main_thread() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    if is_ending:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        if is_ending:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def note_interrupts(note: Callable[[], object]) -> Iterator[None]:
    """Call `note` at SIGINT instead of raising KeyboardInterrupt anywhere.

    An exception could occur between two statements of the caller, such as the starts of two threads. A
    handler set by the program still runs, and its exceptions are dropped. Other threads than the main one get
    no signals.
    """
    previous = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or not callable(previous):  # ignored, or set outside Python
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        note()
        if previous is not signal.default_int_handler:
            with suppress(KeyboardInterrupt):
                previous(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
