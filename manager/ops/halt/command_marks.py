"""Set and lift the halt marks of a changing command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.errors import writing_to
from manager.fleet import halt_mark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.ops.actions.action import Action, Change
from manager.ops.halt import stop_for_good
from manager.ops.halt.stop_for_good import Starts

LIFTING = frozenset({"up", "start", "restart", "resume", "stop"})
"""Commands by which a user asks for the named instances to run or stop. `watch` acts on its own."""


def set_before(change: Change, project: Project) -> Starts:
    """Mark what is to be stopped while another manager works on the fleet, so that it does not start it
    again.
    """
    by: halt_mark.By = "down" if change.command == "down" else "stop"
    named = change.selection.named(project)
    halted = {instance for instance, mark in halt_mark.find_all(project.fleet).items() if mark.by == "halt"}
    ids = set(halt_mark.folders(project.fleet)) - halted if named is None else named
    stop_for_good.mark_all(project.fleet, by, sorted(ids))
    return Starts(project.fleet)


def lift(
    change: Change,
    snapshot: FleetSnapshot,
    actions: Sequence[Action],
    named: list[str] | None,
    marks: Mapping[str, halt_mark.HaltMark],
) -> None:
    """Remove the halt marks that this command overrides, if they existed when it was given. Raises
    ManagerError.

    A command overrides a halt only for the instances that it names.
    """
    fleet = snapshot.project.fleet
    if change.command not in LIFTING:
        return
    if named is not None:  # `stop ID` too: what it names is stopped from now on, and no longer halted
        refused = {action.instance for action in actions if action.kind == "leave" and action.is_refused}
        lifted = {instance: marks[instance] for instance in named if instance in marks.keys() - refused}
        if change.lifts_fleet_mark is not None:  # of those too that were stopped already when all were halted
            lifted |= {instance: mark for instance, mark in marks.items() if mark.by == "halt"}
    elif change.command == "up":
        lifted = {instance: mark for instance, mark in marks.items() if mark.by == "down"}
    else:
        starting = {action.instance for action in actions if action.starts}
        lifted = {
            instance: mark for instance, mark in marks.items() if instance in starting and mark.by != "halt"
        }
    for instance, mark in lifted.items():
        with writing_to(fleet.secrets_dir(instance)):
            halt_mark.lift(fleet, instance, mark)
    with writing_to(fleet.all_secrets_dir):
        if change.lifts_fleet_mark is not None:
            halt_mark.lift_of_fleet(fleet, change.lifts_fleet_mark)
    if lifted:
        halt_mark.keep_fleet_ready(fleet)
