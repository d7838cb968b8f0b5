"""Record Ctrl-C instead of raising an exception, during work that must not be interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType


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
