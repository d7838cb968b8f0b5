"""Say what a halt that was interrupted has halted, and what not."""

from __future__ import annotations

from collections.abc import Sequence

from manager.errors import ManagerError
from manager.i18n import Text, mark
from manager.ops.halt.chosen import alive
from manager.ops.halt.halt_events import MarksMade
from manager.util import console
from manager.util.interrupts import Interruption

NOTHING = mark(
    "interrupted before anything was halted: no bot was told to stop, and nothing keeps `manager up` from"
    " starting bots; run `manager halt` again"
)
MARKED = mark(
    "interrupted: {count} instances are marked as halted, and `manager up` starts none of them before"
    " `manager resume`; whether all are down, and what is left at the exchanges, was not verified: run"
    " `manager halt` again"
)


class Interrupted(ManagerError):
    """Signal that somebody interrupted the command."""

    def __init__(self, interruption: KeyboardInterrupt, message: str, /, **params: object) -> None:
        super().__init__(message, **params)
        known = interruption if isinstance(interruption, Interruption) else Interruption()
        self.exit_code = known.exit_code


def error(interruption: KeyboardInterrupt, marks: Sequence[MarksMade] = ()) -> Interrupted:
    """Return what to end with; print first what else is to be known."""
    if not marks:
        return Interrupted(interruption, NOTHING)
    fleet, marked = marks[-1]
    if marked.error is not None:
        console.error(marked.error)
    if running := alive(fleet):
        console.error(Text("these bots still run and may trade: {ids}", ids=", ".join(running)))
    return Interrupted(interruption, MARKED, count=len(marked.instances))
