"""Note what a command has done: for the history, and for the next `resume`."""

from __future__ import annotations

from collections.abc import Sequence

from manager.fleet import event_spool
from manager.fleet.observe import FleetSnapshot
from manager.ops.actions.action import Action, Outcome
from manager.ops.execution import desired_state


def note(command: str, snapshot: FleetSnapshot, outcomes: Sequence[Outcome[Action]]) -> None:
    """Note the outcomes of `command`. Raises nothing: what was done is done."""
    desired_state.keep_on_list(snapshot, outcomes)
    event_spool.note(
        snapshot.project.fleet,
        [
            event_spool.happened(
                command,
                outcome.action.instance,
                outcome.action.kind,
                outcome.error or outcome.action.cause,
                is_done=outcome.error is None,
            )
            for outcome in outcomes
            if outcome.action.kind != "leave"
        ],
    )
