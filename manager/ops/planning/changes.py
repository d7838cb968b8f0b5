"""Define the changing commands as values, used by the command line, `watch` and the old API. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.errors import ConfigError
from manager.fleet import halt_mark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.selection import EVERYTHING, Selection
from manager.i18n import Text
from manager.ops.actions.action import Action, Change
from manager.ops.planning import plan


def up(selection: Selection = EVERYTHING, *, recreate: bool = False, remove_orphans: bool = False) -> Change:
    """Bring the fleet, or the named instances, to the state that the configs describe."""

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        return plan.up(snapshot.plan_input, named, recreate=recreate, remove_orphans=remove_orphans)

    return Change("up", planner, selection, "run" if selection.ids or selection.files else None)


def down(selection: Selection = EVERYTHING, *, remove_orphans: bool = False) -> Change:
    """Stop and remove containers; data stays."""

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        return plan.down(snapshot.plan_input, named, remove_orphans=remove_orphans)

    return Change("down", planner, selection, needs_sound_configs=False)


def start(selection: Selection = EVERYTHING) -> Change:
    """Start instances that do not run; without names, not those that are halted, failed or completed."""

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        return plan.start(snapshot.plan_input, named)

    return Change("start", planner, selection, "run")


def stop(selection: Selection = EVERYTHING, because: Text | None = None) -> Change:
    """Stop instances and keep them stopped. `because`: who does it, other than a person, and why."""

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        actions = plan.stop(snapshot.plan_input, named)
        if because is None:
            return actions
        return [action._replace(cause=because) if action.kind == "stop" else action for action in actions]

    return Change("stop", planner, selection, "stopped", needs_sound_configs=False, because=because)


def restart(selection: Selection = EVERYTHING) -> Change:
    """Stop and start instances."""

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        return plan.restart(snapshot.plan_input, named)

    return Change("restart", planner, selection, "run")


def resume(project: Project, selection: Selection, warn: Callable[[Text], object]) -> Change | None:
    """Start exactly what ran when the fleet was halted; None if nothing is halted. Raises ConfigError.

    `warn` is called for instances that ran and can no longer be started.
    """
    if project.fleet_state.faults:
        raise ConfigError(project.fleet_state.faults)
    fleet_mark = None
    is_whole = selection.named(project) is None
    if is_whole:
        fleet_mark = halt_mark.of_fleet(project.fleet)
        halted = project.fleet_state.halted
        selection = Selection([instance for instance in halted if instance in project.specs])
        if not selection.ids:
            return None
        for instance in sorted(set(halted).difference(project.specs)):
            if project.fleet_state.of(instance).halted != "ran":  # there is nothing to start
                continue
            warn(Text("{id} was halted, but no longer has a valid config: it is not started", id=instance))

    def planner(snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        return plan.resume(snapshot.plan_input, named or [])

    return Change("resume", planner, selection, chooses_itself=is_whole, lifts_fleet_mark=fleet_mark)


def recover(instances: Sequence[str]) -> Change:
    """Start those of the instances that `up` would start, unchanged: `watch` applies no config changes."""

    def planner(snapshot: FleetSnapshot, _named: list[str] | None) -> list[Action]:
        return [
            action
            for action in plan.up(snapshot.plan_input)
            if (action.kind == "start" or action.keeps_image) and action.instance in instances
        ]

    return Change("watch", planner, Selection(instances), chooses_itself=True)
