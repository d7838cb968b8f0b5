"""Keep a config that hands over what it may not from being applied. Pure.

What exists goes on as it was made: an instance that runs is left alone, one that does not is started with the
env file it has. Nothing is created from such a config.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.fleet.snapshot import PlanInput
from manager.i18n import Text
from manager.ops.actions.action import Action, Kind


def settle(plan_input: PlanInput, actions: Iterable[Action], *, is_restart: bool = False) -> list[Action]:
    """Return the actions as far as they do not apply an untrusted config.

    `is_restart`: what runs was asked to be restarted, not only to match its config.
    """
    return [
        _settled(plan_input, action, why, is_restart=is_restart)
        if (why := plan_input.untrusted.get(action.instance)) is not None
        else action
        for action in actions
    ]


def _settled(plan_input: PlanInput, action: Action, why: Text, *, is_restart: bool) -> Action:
    container = plan_input.containers.get(action.instance)
    if action.kind in {"start", "restart"}:
        return action._replace(as_it_was=True)
    if action.kind == "update":
        return left(plan_input, action.instance)
    if action.kind not in {"create", "recreate"}:
        return action
    if container is None or container.never_ran or container.engine_state in {"dead", "removing"}:
        cause = Text("its config is refused: {why}", why=why)
        return Action("leave", action.instance, cause, is_refused=True)
    if action.instance in plan_input.moved:
        cause = Text("its container cannot be made again, because its config is refused: {why}", why=why)
        return Action("leave", action.instance, cause, is_refused=not container.is_up)
    if not container.is_up or is_restart:
        kind: Kind = "restart" if container.is_up else "start"
        cause = Text("requested") if container.is_up else Text("not running")
        return Action(kind, action.instance, cause, is_fresh=action.is_fresh, as_it_was=True)
    return left(plan_input, action.instance)


def left(plan_input: PlanInput, instance: str) -> Action:
    """Leave an instance whose config is refused as it is."""
    cause = Text(
        "stays as it was made, because its config is refused: {why}", why=plan_input.untrusted[instance]
    )
    return Action("leave", instance, cause)
