"""Observe the fleet and plan a changing command: what its configs, its marks and the engine leave of it."""

from collections.abc import Mapping, Sequence

from manager.errors import Problem
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import require_known
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops.actions.action import Action, Change
from manager.ops.actions.events import OnEvent, Warned
from manager.ops.checks import preflight, start_checks
from manager.ops.checks.preflight import HeldBack
from manager.ops.planning import (
    idle_under_mark,
    made_anew,
    moved_away,
    untrusted,
    updated_limits,
    worse_keys,
)
from manager.typed import NamedTuple


class Plan(NamedTuple):
    """Hold what a command would do, and what that was decided from.

    `named`: the instances that were asked for, None for the whole fleet. `held_back`: what invalid configs
    keep from being changed.
    """

    snapshot: FleetSnapshot
    actions: list[Action]
    named: list[str] | None
    held_back: HeldBack

    @property
    def touched(self) -> set[str]:
        """Return the instances on which it does anything."""
        return {action.instance for action in self.actions if action.kind != "leave"}


def make(session: Session, change: Change, on_event: OnEvent) -> Plan:
    """Observe the fleet and plan. Raises ManagerError if the change cannot be carried out."""
    is_alone = change.command == "restart" and not change.selection.files
    snapshot = session.observe(change.selection.ids if is_alone else ())
    held = preflight.NOTHING_HELD_BACK
    if change.needs_sound_configs:
        snapshot.require_ours()
        named = change.selection.named(snapshot.project)
        for warning in snapshot.project.warnings_of(named):
            on_event(Warned(warning))
        if named is None or change.chooses_itself:
            held = preflight.held_back(snapshot, named)
        else:
            preflight.require_sound(snapshot, named)
    else:
        named = change.selection.named(snapshot.project)
    for instance in named or ():
        require_known(instance, snapshot)
        if change.needs_sound_configs:
            preflight.require_config(instance, snapshot)
    snapshot = updated_limits.seen(session, snapshot, change.command, named)
    snapshot = idle_under_mark.seen(session, snapshot, change.command, named)
    unusable = snapshot.project.unusable_keys(named) if change.needs_sound_configs else {}
    snapshot = worse_keys.seen(snapshot, unusable)
    left = held.actions(snapshot, named)
    others = None if named is None else [instance for instance in named if instance not in held.instances]
    without_held = snapshot._replace(plan_input=held.without(snapshot.plan_input))
    actions = made_anew.settle(session, snapshot, change.planner(without_held, others))
    actions = untrusted.settle(without_held.plan_input, actions, is_restart=change.command == "restart")
    if others is None or change.chooses_itself:
        actions = moved_away.settle(without_held.plan_input, actions)
    if change.command != "watch" and any(action.starts for action in actions):  # what ran may run again
        actions = start_checks.settle(snapshot, actions, change.dead_hosts, on_event)
    if change.needs_sound_configs:
        _name_untrusted(snapshot, unusable, others, actions, on_event)
    return Plan(snapshot, [*ours(snapshot, actions), *left], others, held)


def _name_untrusted(
    snapshot: FleetSnapshot,
    unusable: Mapping[str, Sequence[Problem]],
    named: list[str] | None,
    actions: Sequence[Action],
    on_event: OnEvent,
) -> None:
    """Warn about each refused config among those that were asked for, and about `unusable` keys.

    The first problem may be an action's cause.
    """
    told = {action.instance for action in actions if action.kind == "leave"}
    for instance, problems in snapshot.project.loaded.refusals.items():
        if named is None or instance in named:
            for problem in problems[1:] if instance in told else problems:
                on_event(Warned(Text("{problem}", problem=problem)))
    for instance, faults in unusable.items():
        if named is None or instance in named:
            for problem in faults:
                on_event(Warned(problem))


def ours(snapshot: FleetSnapshot, actions: Sequence[Action]) -> list[Action]:
    """Replace actions on another folder's containers by `leave`, so that they do not prevent our own."""
    ours = []
    for action in actions:
        container = snapshot.plan_input.containers.get(action.instance)
        foreign = snapshot.foreign_folder(container) if container is not None else None
        if foreign is not None and action.kind != "leave":
            cause = Text(
                "its container belongs to {there}, not to {here}", there=foreign.there, here=foreign.here
            )
            ours.append(Action("leave", action.instance, cause))
        else:
            ours.append(action)
    return ours
