"""Leave alone what was moved to another machine. Pure.

Of what a person names, a plan and a roll-out tell it here; in other commands the executor refuses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from manager.fleet.snapshot import PlanInput
from manager.ops.actions.action import Action


def settle(plan_input: PlanInput, actions: Iterable[Action], named: Collection[str] = ()) -> list[Action]:
    """Return the actions without starts of instances that have a tombstone. `named`: by a person."""
    return [
        Action("leave", action.instance, stone.why, is_moved=action.instance in named)
        if (stone := plan_input.tombstones.get(action.instance)) is not None
        and action.kind not in {"stop", "remove"}
        else action
        for action in actions
    ]
