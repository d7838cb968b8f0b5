"""Hold what a halt did with each container, and the exit code of it all."""

from __future__ import annotations

from collections.abc import Sequence

from manager.engine.containers import Container
from manager.errors import BAD_CONFIG, FAILED, OK, TIMED_OUT, ManagerError, worst_exit_code
from manager.fleet.bot_report import Position
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import Answer
from manager.ops.halt.chosen import Unknown
from manager.typed import NamedTuple


class HaltOutcome(NamedTuple):
    """Hold the result for one container, or for an instance without one.

    `stopped`: None if it was not up. `is_down`: verified. `reported`: open orders, as its bot reported when
    it stopped. `answer`: the exchange's, None if it was not asked. `last_position`: from its last report.
    `hidden`: why it cannot be verified, although its container is down. `gone`: why the exchange could not be
    asked, and what its bot last reported, if that is not enough.
    """

    instance: str
    container: Container | None
    mode: str
    stopped: Outcome[Action] | None
    is_down: bool
    reported: int | None
    has_run: bool
    answer: Answer | None
    last_position: Position | None = None
    hidden: Text | None = None
    gone: Text | None = None

    @property
    def position(self) -> Position | None:
        """Return what it has left: as the exchange has just said, else from its last report."""
        return (self.answer.position if self.answer else None) or self.last_position

    @property
    def was_killed(self) -> bool:
        """Return whether its bot was killed in its stop."""
        return self.stopped is not None and self.stopped.was_killed

    @property
    def exit_code(self) -> int:
        """Return 0 only if it is down and, if live, known to have no open orders at the exchange."""
        codes = [OK if self.is_down else FAILED, TIMED_OUT if self.was_killed else OK]
        if self.mode == "live" and self.left != 0:
            codes.append(FAILED)
        return worst_exit_code(codes)

    @property
    def is_left_unknown(self) -> bool:
        """Return whether nobody knows what it has left at its exchange."""
        return self.left is None or self.gone is not None

    @property
    def left(self) -> int | None:
        """Return its open orders: the exchange's answer; for an instance without a container, its last
        report.
        """
        if self.answer is not None:
            return self.answer.left
        if self.gone is not None:
            return self.reported or None  # what it reported was no answer, or there was none
        return self.reported if self.has_run else 0


class Result(NamedTuple):
    """Hold the halted fleet. `unsaved`: why the halt could not be saved, although everything was stopped.

    `unfinished`: which process may still start something. `untrusted`: which of its folders are links that
    are not followed. `is_all`: whether it covers every container of this fleet's name; those of another
    folder, such as the original of a copy, run on. `unknown`: of what was named, and nothing here has.
    """

    snapshot: FleetSnapshot
    outcomes: Sequence[HaltOutcome]
    unsaved: ManagerError | None = None
    unfinished: ManagerError | None = None
    untrusted: ManagerError | None = None
    is_all: bool = True
    unknown: Sequence[Unknown] = ()

    @property
    def errors(self) -> list[ManagerError]:
        """Return what is wrong with the halt as a whole."""
        return [error for error in (self.unsaved, self.unfinished, self.untrusted) if error is not None]

    @property
    def exit_code(self) -> int:
        """Return the command's exit code."""
        codes = [OK if self.is_all else BAD_CONFIG, *(outcome.exit_code for outcome in self.outcomes)]
        codes += [error.exit_code for error in (*self.errors, *(name.error for name in self.unknown))]
        return worst_exit_code(codes)
