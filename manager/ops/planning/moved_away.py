"""Leave alone what was moved to another machine. Pure.

What a person names is not settled here: the executor refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.fleet.snapshot import PlanInput
from manager.ops.actions.action import Action


def settle(plan_input: PlanInput, actions: Iterable[Action]) -> list[Action]:
    """Return the actions without starts of instances that have a tombstone."""
    return [
        Action("leave", action.instance, stone.why)
        if (stone := plan_input.tombstones.get(action.instance)) is not None
        and action.kind not in {"stop", "remove"}
        else action
        for action in actions
    ]
