"""Hold what a roll-out did with each instance, and the exit code of it all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from manager.errors import FAILED, OK, TIMED_OUT, ManagerError, worst_exit_code
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.typed import NamedTuple

RolloutKind = Literal["upgrade", "rolled back", "not reached", "leave"]


class RolloutAction(NamedTuple):
    """Describe what a roll-out did with one instance, and why.

    `is_moved`: left, although it was asked for, because it is on another machine.
    """

    kind: RolloutKind
    instance: str
    cause: Text | ManagerError
    is_moved: bool = False


class Result(NamedTuple):
    """Hold the result of a roll-out.

    `killed`: bots that did not stop in time. `stopped`: why it was ended early.
    """

    snapshot: FleetSnapshot
    outcomes: Sequence[Outcome[RolloutAction]]
    killed: Sequence[Outcome[Action]] = ()
    stopped: Text | ManagerError | None = None

    @property
    def exit_code(self) -> int:
        """Return the command's exit code."""
        codes = [exit_code_of(outcome) for outcome in self.outcomes]
        codes += [TIMED_OUT for _outcome in self.killed]
        if isinstance(self.stopped, ManagerError):
            codes.append(self.stopped.exit_code)
        return worst_exit_code(codes)


def exit_code_of(outcome: Outcome[RolloutAction]) -> int:
    """Return the exit code of one instance's outcome: what was rolled back, or moved, was not upgraded."""
    if outcome.error is not None:
        return outcome.error.exit_code
    return FAILED if outcome.action.kind == "rolled back" or outcome.action.is_moved else OK
