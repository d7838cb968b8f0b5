"""Define the result of a changing command, for the caller to print and to derive the exit code from. Pure.

Plain classes, for the reason given in events.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from manager.errors import (
    BAD_CONFIG,
    FAILED,
    OK,
    TIMED_OUT,
    EngineUnreachable,
    ManagerError,
    Problem,
    worst_exit_code,
)
from manager.fleet.observe import FleetSnapshot
from manager.ops.actions.action import Action, Outcome


class Planned:
    """Hold what would be done, the snapshot that it was planned from, and what holds instances back."""

    __slots__ = ("actions", "problems", "snapshot")

    def __init__(
        self, snapshot: FleetSnapshot, actions: Sequence[Action], problems: Sequence[Problem] = ()
    ) -> None:
        self.snapshot, self.actions, self.problems = snapshot, actions, problems

    @property
    def exit_code(self) -> int:
        """Return the command's exit code: whether everything that was asked for can be done."""
        if self.problems or any(action.is_refused for action in self.actions):
            return BAD_CONFIG
        return FAILED if any(action.is_moved for action in self.actions) else OK


class Result:
    """Hold what was done. `snapshot`: the fleet afterwards. `late`: instances that did not become healthy.

    `errors`: what is wrong with the command as a whole, although everything was done, such as a desired state
    that cannot be saved. `engine_error`: the engine became unreachable after these outcomes; the snapshot is
    then the one from before. `problems`: of the configs whose instances were held back.
    """

    __slots__ = ("actions", "engine_error", "errors", "late", "outcomes", "problems", "snapshot")

    def __init__(
        self,
        snapshot: FleetSnapshot,
        actions: Sequence[Action],
        outcomes: Sequence[Outcome[Action]],
        late: Sequence[str] = (),
        errors: Sequence[ManagerError] = (),
        engine_error: EngineUnreachable | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        self.snapshot, self.actions, self.outcomes = snapshot, actions, outcomes
        self.late, self.errors, self.engine_error = late, errors, engine_error
        self.problems = problems

    @property
    def exit_code(self) -> int:
        """Return the command's exit code."""
        states = [self.snapshot.views[instance].status.state for instance in self.late]
        codes = [FAILED if state in {"failed", "stopped", "missing"} else TIMED_OUT for state in states]
        for outcome in self.outcomes:
            if outcome.error is not None:
                codes.append(outcome.error.exit_code)
            if outcome.was_killed:
                codes.append(TIMED_OUT)
            if outcome.open_orders_left or outcome.is_rest_unknown:
                codes.append(FAILED)
        codes += [BAD_CONFIG for action in self.actions if action.is_refused]
        codes += [FAILED for action in self.actions if action.is_moved]
        codes += [error.exit_code for error in self.errors]
        codes += [self.engine_error.exit_code] if self.engine_error is not None else []
        if self.problems:
            codes.append(BAD_CONFIG)
        return worst_exit_code(codes)
