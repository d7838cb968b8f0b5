"""End a command that changes a fleet in good order when somebody ends it, by Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from manager.i18n import Text, _, labelled
from manager.typed import TYPE_CHECKING
from manager.util.interrupts import Interruption

if TYPE_CHECKING:
    import signal

    from manager.fleet.session import Session
else:
    import _signal as signal  # as interrupts.py has it


def in_order(session: Session, work: Callable[[], int]) -> int:
    """Do the work and return its exit code, or that of the signal that ended it.

    What it had begun is finished, and its result is printed; a second signal ends it at once.
    """
    with session.ending.taken(_tell):
        code = work()
        if not session.ending.exit_code:
            return code
        from manager.util import console

        console.error(_("interrupted: what had begun was finished, and nothing else was begun"))
        return session.ending.exit_code


def text(interruption: KeyboardInterrupt) -> str:
    """Return what to say of a command that has ended at once."""
    left = interruption.left if isinstance(interruption, Interruption) else ()
    if not left:
        return _("interrupted")
    message = Text(
        "interrupted in the middle of {ids}: whether these run is unknown; look with `manager ps`, and run"
        " the command again",
        ids=", ".join(left),
    )
    return labelled(_("error"), message)


def pass_on(session: Session) -> None:
    """End the program that called a change, as it would have ended: it has no handler of its own."""
    if session.ending.exit_code == 128 + signal.SIGTERM:
        sys.stdout.flush()
        signal.raise_signal(signal.SIGTERM)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return what shells report of it."""
    known = interruption if isinstance(interruption, Interruption) else Interruption()
    return known.exit_code


def _tell() -> None:
    """Say that it ends. Called in the middle of anything, so nothing buffered may be used."""
    line = labelled(_("ending"), _("what has begun is finished first; the same signal again ends it at once"))
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())
