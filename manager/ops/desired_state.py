"""What a changing command leaves in the memory: the wish, the ports, an instance's name. Written before the deed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from manager.config.fleet import Fleet
from manager.errors import ConfigError, ManagerError, UsageError
from manager.fleet import halt_mark, state_file
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.snapshot import PlanInput
from manager.fleet.state_file import FleetState
from manager.ops.action import Action, Change
from manager.util import formatting

StateChange = Callable[[FleetState], FleetState]


def remember(fleet: Fleet, change: StateChange) -> None:
    """Apply the change to state/fleet.json as it is now. Raises ManagerError."""
    state_file.update(fleet, change)


def save_wish(change: Change, fleet: Fleet, memory_change: StateChange) -> ManagerError | None:
    """The wish is written before the deed: a manager killed in between must not leave a lie behind.

    A bot that is to be stopped is stopped, though, even on a disk that is full; the error is for the end.
    """
    try:
        remember(fleet, memory_change)
    except ManagerError as error:
        if change.command == "down":  # a hint for `watch`, and nothing that a stop may fail for
            return None
        if change.wish != "stopped":
            raise
        return error
    return None


def memory_change(
    change: Change, snapshot: FleetSnapshot, actions: list[Action], named: list[str] | None
) -> StateChange:
    """What this command changes in the memory, and nothing else: whatever others have written since stays."""
    plan_input, fleet = snapshot.plan_input, snapshot.project.fleet
    asked = _asked(change, plan_input, actions, named)
    wishes = plan_input.memory.instances
    starting = [action.instance for action in actions if action.starts]
    open_ports = {
        each: spec.web_port
        for each, spec in snapshot.project.specs.items()
        if each in starting and spec.web_port is not None
    }

    def changed(after: FleetState) -> FleetState:
        if change.wish == "run":
            after = after.with_wish(_unmarked(fleet, asked), "run")
        elif change.wish is not None:
            after = after.with_wish(asked, change.wish)
        elif change.command == "resume":
            after = after.with_resumed(_unmarked(fleet, named or []))
        elif change.command == "up":  # what a person stopped here, and then started by docker's own means
            up = [each for each in wishes if plan_input.is_up(each)]
            after = after.with_wish(_unmarked(fleet, up), "run")
        if change.command == "down":
            gone = [action.instance for action in actions if action.kind == "remove"]
            after = after.with_taken_down(gone, time.time())
        after = after.with_registered(starting, formatting.iso(time.time()))
        return after.with_ports(open_ports)

    return changed


def _unmarked(fleet: Fleet, instances: Iterable[str]) -> list[str]:
    """A mark that stands was made since this command has looked: what it came with is not to be lost."""
    return [each for each in instances if halt_mark.find(fleet, each) is None]


def _asked(
    change: Change, plan_input: PlanInput, actions: list[Action], named: list[str] | None
) -> list[str]:
    """Of which instances a person has just asked something."""
    if named is not None:
        return named
    if change.command in {"restart", "start"}:  # leave alone what is stopped, halted, or has ended by itself
        return [action.instance for action in actions if action.kind != "leave"]
    everything = [*{**plan_input.wanted, **plan_input.containers}]
    if change.command == "stop":  # keeps what is halted on the list of `resume`
        return [
            each for each in everything if plan_input.is_up(each) or not plan_input.memory.of(each).halted
        ]
    return everything


def name_instance(session: Session, files: Sequence[str], wanted: str) -> None:
    """Give the instance of the one config file another id, from now on: `--config FILE --instance-id ID`."""
    snapshot = session.observe()
    if len(files) != 1:
        raise UsageError("--instance-id names the instance of one --config FILE, not of several")
    present = snapshot.project.instance_of(files[0])
    if present == wanted:
        return
    if present in snapshot.plan_input.containers:
        raise UsageError(
            "{id} has a container; `manager down {id}` first, or one config runs twice", id=present
        )
    file = snapshot.project.specs[present].config_file
    _require_free_id(wanted, file, snapshot)
    remember(snapshot.project.fleet, lambda memory: memory.with_id(file, wanted))


def _require_free_id(instance: str, file: str, snapshot: FleetSnapshot) -> None:
    """Raises before the id is remembered: one that cannot be loaded again would keep every later command from working."""
    from manager.config.loader import id_faults  # pydantic, 0.1 s

    if faults := list(id_faults(file, instance)):
        raise ConfigError(faults)
    found = snapshot.plan_input.containers.get(instance)
    if found is not None and found.config_file != file:
        raise UsageError(
            "{id} is the container of {file}; `manager down {id}` first", id=instance, file=found.config_file
        )
    for other in snapshot.project.specs.values():
        if other.id.lower() == instance.lower() and other.config_file != file:
            raise UsageError("{id} is already the instance of {file}", id=instance, file=other.config_file)
