"""A view that is drawn again and again on a terminal, in place, and leaves nothing of itself behind."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from manager.i18n import Text
from manager.util import console

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, no cursor, no wrapping of what is too long."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

TERMINATED = 128 + signal.SIGTERM


def watch(frame: Callable[[int], str], seconds: float) -> None:
    """Draws what `frame` makes for a terminal of so many columns, every `seconds` and when the window changes its size.

    Returns at Ctrl-C; a SIGTERM too finds the terminal as it was.
    """
    with _alternate_screen():
        try:
            while True:
                size = shutil.get_terminal_size()
                console.say(drawn(frame(size.columns), size.lines), end="")
                signal.sigtimedwait([signal.SIGWINCH], seconds)
        except KeyboardInterrupt:
            return


def drawn(text: str, height: int) -> str:
    """The text over what stands on the screen: each line to its end, then all below. Nothing is blanked first, so nothing flickers."""
    lines = text.splitlines()
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], str(Text("… {count} more lines", count=hidden))]
    return HOME + f"{END_OF_LINE}\n".join(lines) + END_OF_LINE + BELOW


@contextmanager
def _alternate_screen() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])  # it ends the wait between two drawings
    console.say(ENTER, end="")
    try:
        yield
    finally:
        console.say(LEAVE, end="")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGWINCH])
        for number, handler in before.items():
            signal.signal(number, handler)
