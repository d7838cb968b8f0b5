"""Redraw a full-screen view in place, and restore the terminal afterwards."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from manager.i18n import Text
from manager.util import console

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Switch to the alternate screen, hide the cursor, disable line wrapping."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

TERMINATED = 128 + signal.SIGTERM


def redraw_every(frame: Callable[[int], str], seconds: float) -> None:
    """Draw what `frame(columns)` returns, every `seconds` and when the window is resized.

    Returns at Ctrl-C. The terminal is restored on SIGTERM and SIGHUP too.
    """
    with _alternate_screen():
        try:
            while True:
                size = shutil.get_terminal_size()
                console.say(render(frame(size.columns), size.lines), end="")
                signal.sigtimedwait([signal.SIGWINCH], seconds)
        except KeyboardInterrupt:
            return


def render(text: str, height: int) -> str:
    """Return the sequence that writes the text over the current screen.

    Each line is cleared from its end instead of the whole screen first, which would flicker.
    """
    lines = text.splitlines()
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], str(Text("… {count} more lines", count=hidden))]
    return HOME + f"{END_OF_LINE}\n".join(lines) + END_OF_LINE + CLEAR_BELOW


@contextmanager
def _alternate_screen() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])  # sigtimedwait in redraw_every receives it
    console.say(ENTER, end="")
    try:
        yield
    finally:
        console.say(LEAVE, end="")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGWINCH])
        for number, handler in previous.items():
            signal.signal(number, handler)
