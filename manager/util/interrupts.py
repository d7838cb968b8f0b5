"""Note Ctrl-C and SIGTERM instead of ending at once, during work that must not be left half done.

For a halt, also tell which signal it was.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from manager.typed import TYPE_CHECKING, Any
from manager.util.signal_flag import SignalFlag

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without its enumerations, which take longer to make than a small `up` to plan

SAME_ENDING_S = 0.5
"""Signals that follow one another so closely end the program once: `timeout` sends its signal to the program,
and then to its group, which the program is in. Under load the two are not one moment apart.
"""


class Interruption(KeyboardInterrupt):
    """Signal that somebody ended the program by this signal."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number
        self.left: Sequence[str] = ()
        """What it has ended in the middle."""

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
        if _is_main_thread():
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
    is_ending = _is_main_thread() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    if is_ending:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        if is_ending:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Ending:
    """Hear that somebody ends the program, by SIGINT or SIGTERM, and let it finish what it has begun.

    Until something has begun the signal is raised at once, as Interruption. From then on the first one is
    noted, and a second one is raised: an exception could occur between two statements, such as the starts of
    two threads, or the two halves of a restart. So it is within Interruptions. Signals that are ignored stay
    so. A handler of the program
    still runs, and decides alone what ends at once; what it raises while something is under way is dropped.
    Signals within SAME_ENDING_S of the first one are no second one.
    """

    def __init__(self) -> None:
        self.number = 0
        """The first signal that was noted."""
        self.exit_code = 0
        """What shells report of a program that was ended so; 0 if it was not, or has a handler of its own."""
        self._came = SignalFlag()
        self._has_begun = False
        self._noted_at = 0.0
        self._on_noted: Callable[[], object] = lambda: None
        self._previous: dict[int, Any] = {}

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the signal comes."""
        self._came.wait(seconds)

    @contextmanager
    def taken(self, on_noted: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Take the signals. Other threads than the main one get none. `on_noted` is called in the handler."""
        if self._previous or not _is_main_thread():
            yield
            return
        self._on_noted = on_noted
        for number in (int(signal.SIGINT), int(signal.SIGTERM)):
            previous = signal.getsignal(number)
            if callable(previous) or previous is signal.SIG_DFL:  # not ignored, nor set outside Python
                self._previous[number] = previous
                signal.signal(number, self._handle)
        try:
            yield
        finally:
            self._has_begun = False
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._previous = {}

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Note the signals from here on, until what has taken them ends."""
        self._has_begun = True
        with self.taken():
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        own = _own(self._previous[number])
        if not self._has_begun or (self.number and own is None):
            if own is not None:
                own(number, frame)
            elif not self.number or time.monotonic() - self._noted_at >= SAME_ENDING_S:
                raise Interruption(number)
            return
        is_first, self.number = not self.number, self.number or number
        if is_first:
            self._noted_at = time.monotonic()
        self._came.set()
        if own is not None:
            with suppress(KeyboardInterrupt):
                own(number, frame)
        elif is_first:
            self.exit_code = 128 + number
            self._on_noted()


def _own(handler: Any) -> Callable[[int, FrameType | None], object] | None:
    """Return a handler of the program; None if it is Python's, or that of Interruptions: these only raise."""
    is_ours = isinstance(getattr(handler, "__self__", None), Interruptions)
    return (
        handler if callable(handler) and handler is not signal.default_int_handler and not is_ours else None
    )


def _is_main_thread() -> bool:
    """Return whether this thread gets the signals. What has started another one has loaded `threading`."""
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()
