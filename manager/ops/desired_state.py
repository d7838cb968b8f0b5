"""What a changing command leaves in the memory: the wish, the ports, an instance's name. Written before the deed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from manager.errors import ConfigError, ManagerError, UsageError, writing_to
from manager.fleet import state_file
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.snapshot import PlanInput
from manager.fleet.state_file import FleetState
from manager.ops.action import Action, Change
from manager.util import formatting, ownership


def remember(snapshot: FleetSnapshot, after: FleetState) -> None:
    """Writes the memory, if it has changed. Raises ManagerError."""
    if after == snapshot.project.memory:
        return
    if after.faults:
        raise ManagerError("cannot restore the fleet's state: {fault}", fault=after.faults[0])
    path = snapshot.project.fleet.state_file
    with writing_to(path):
        ownership.make_folder(path.parent)
        state_file.save(path, after)


def save_wish(change: Change, snapshot: FleetSnapshot, after: FleetState) -> ManagerError | None:
    """The wish is written before the deed: a manager killed in between must not leave a lie behind.

    A bot that is to be stopped is stopped, though, even on a disk that is full; the error is for the end.
    """
    try:
        remember(snapshot, after)
    except ManagerError as error:
        if change.command == "down":  # a hint for `watch`, and nothing that a stop may fail for
            return None
        if change.wish != "stopped":
            raise
        return error
    return None


def memory_after(
    change: Change, snapshot: FleetSnapshot, actions: list[Action], named: list[str] | None
) -> FleetState:
    """What is remembered from now on."""
    after = snapshot.project.memory
    plan_input = snapshot.plan_input
    if change.wish is not None:
        after = after.with_wish(_asked(change, plan_input, actions, named), change.wish)
    elif change.command == "resume":
        after = after.with_resumed(named or [])
    elif change.command == "up":  # what a person stopped here, and then started by docker's own means
        wishes = plan_input.memory.instances
        after = after.with_wish([each for each in wishes if plan_input.is_up(each)], "run")
    if change.command == "down":
        gone = [action.instance for action in actions if action.kind == "remove"]
        after = after.with_taken_down(gone, time.time())
    starting = [action.instance for action in actions if action.starts]
    after = after.with_registered(starting, formatting.iso(time.time()))
    open_ports = {
        each: spec.web_port
        for each, spec in snapshot.project.specs.items()
        if each in starting and spec.web_port is not None
    }
    return after.with_ports(open_ports)


def _asked(
    change: Change, plan_input: PlanInput, actions: list[Action], named: list[str] | None
) -> list[str]:
    """Of which instances a person has just asked something."""
    if named is not None:
        return named
    if change.command == "restart":  # leaves alone what is stopped
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
    remember(snapshot, snapshot.project.memory.with_id(file, wanted))


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
