"""Say that nothing was halted when a halt is ended before it has begun: while Python loads it. The end of its
terminal does not end it.

Loaded first, and loads nothing but what Python has loaded itself.
"""

import os
import signal
from types import FrameType

EARLY = (signal.SIGINT, signal.SIGTERM)

_begun = False
_taken: list[signal.Signals] = []
"""What was at its default, and is ignored."""


def take() -> None:
    """Take the signals, until the halt takes them itself. Those that are ignored stay so."""
    for number in EARLY:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _taken.append(signal.SIGHUP)


def release() -> None:
    """Leave the signals to their defaults: the command is another one, or a halt elsewhere."""
    for number in EARLY:
        if signal.getsignal(number) is _end:
            is_ctrl_c = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)
    while _taken:
        signal.signal(_taken.pop(), signal.SIG_DFL)


def note_begun() -> None:
    """Note that the halt says itself, from now on, what it has halted."""
    global _begun
    _begun = True


def _end(number: int, _frame: FrameType | None) -> None:
    if not _begun:
        os.write(2, f"{_text()}\n".encode())
    os._exit(128 + number)


def _text() -> str:
    try:
        from manager.cli.halt_interrupted import NOTHING
        from manager.i18n import _, labelled

        return labelled(_("error"), _(NOTHING))
    except Exception:  # noqa: BLE001 - in the middle of an import
        return "error: interrupted before anything was halted; run `manager halt` again"
