"""Set and lift the halt marks of a changing command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from manager.errors import ManagerError
from manager.fleet import halt_mark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.ops.actions.action import Action, Change, Outcome
from manager.ops.halt import stop_for_good
from manager.ops.halt.stop_for_good import Starts
from manager.typed import NamedTuple, assert_never

LIFTING = frozenset({"up", "start", "restart", "resume", "stop"})
"""Commands by which a user asks for the named instances to run or stop. `watch` acts on its own."""


class Unlifted(NamedTuple):
    """Hold why marks stay: by instance, and the fleet's own."""

    whys: Mapping[str, ManagerError] = MappingProxyType({})
    of_fleet: ManagerError | None = None

    def split(self, actions: Sequence[Action]) -> tuple[list[Action], list[Outcome[Action]]]:
        """Return the actions that can be taken, and the outcomes of those that cannot start a bot."""
        kept = [action for action in actions if action.starts and action.instance in self.whys]
        todo = [action for action in actions if not (action.starts and action.instance in self.whys)]
        return todo, [Outcome(action, error=self.whys[action.instance]) for action in kept]

    def error(self, kept: Sequence[Outcome[Action]]) -> ManagerError | None:
        """Return what no outcome says."""
        covered = {outcome.action.instance for outcome in kept}
        rest = [why for instance, why in self.whys.items() if instance not in covered]
        errors = [*rest, *([self.of_fleet] if self.of_fleet else [])]
        return ManagerError("{problems}", problems="\n".join(map(str, errors))) if errors else None


def set_before(change: Change, project: Project) -> tuple[Starts, ManagerError | None]:
    """Mark what is to be stopped while another manager works on the fleet, so that it does not start it
    again.

    Also returns what could not be marked.
    """
    by: halt_mark.By = "down" if change.command == "down" else "stop"
    named = change.selection.named(project)
    halted = {instance for instance, mark in halt_mark.find_all(project.fleet).items() if mark.by == "halt"}
    ids = set(halt_mark.folders(project.fleet)) - halted if named is None else named
    marked = stop_for_good.mark_all(project.fleet, by, sorted(ids))
    return Starts(project.fleet), marked.error


def lift(
    change: Change,
    snapshot: FleetSnapshot,
    actions: Sequence[Action],
    named: list[str] | None,
    marks: Mapping[str, halt_mark.HaltMark],
) -> Unlifted:
    """Remove the halt marks that this command overrides, if they existed when it was given.

    Returns those that cannot be removed, which keeps no other instance halted.

    A command overrides a halt only for the instances that it names.
    """
    fleet = snapshot.project.fleet
    if change.command not in LIFTING:
        return Unlifted()
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
    whys: dict[str, ManagerError] = {}
    for instance, mark in lifted.items():
        try:
            halt_mark.lift(fleet, instance, mark)
        except OSError as error:
            whys[instance] = _kept(instance, mark.by, fleet.secrets_dir(instance), error)
    of_fleet = None
    try:
        if change.lifts_fleet_mark is not None:
            halt_mark.lift_of_fleet(fleet, change.lifts_fleet_mark)
    except OSError as error:
        of_fleet = ManagerError(
            "new instances stay halted: cannot lift the mark in {path}: {why}",
            path=fleet.all_secrets_dir,
            why=error.strerror or error,
        )
    if lifted:
        halt_mark.keep_fleet_ready(fleet)
    return Unlifted(whys, of_fleet)


def _kept(instance: str, by: halt_mark.By, path: Path, error: OSError) -> ManagerError:
    why = error.strerror or error
    match by:
        case "stop":
            return ManagerError(
                "{id} stays stopped: cannot lift the mark in {path}: {why}", id=instance, path=path, why=why
            )
        case "down":
            return ManagerError(
                "{id} stays down: cannot lift the mark in {path}: {why}", id=instance, path=path, why=why
            )
        case "halt" | "moved":
            return ManagerError(
                "{id} stays halted: cannot lift the mark in {path}: {why}", id=instance, path=path, why=why
            )
        case _:
            assert_never(by)
