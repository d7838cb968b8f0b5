"""Record a changing command in the fleet's state: the desired state, ports, an instance's id."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from manager.config.fleet import Fleet
from manager.errors import CalledOff, ConfigError, EngineUnreachable, ManagerError, UsageError
from manager.fleet import halt_mark, state_file
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.session import Session
from manager.fleet.snapshot import PlanInput
from manager.fleet.state_file import FleetState
from manager.ops.actions.action import Action, Change, Outcome
from manager.util import formatting, kept_text, moment

StateChange = Callable[[FleetState], FleetState]


def save_state(fleet: Fleet, change: StateChange) -> None:
    """Apply the change to the present state/fleet.json. Raises ManagerError."""
    state_file.update(fleet, change)


def save_wish(
    change: Change,
    snapshot: FleetSnapshot,
    actions: list[Action],
    named: list[str] | None,
    called_off: Collection[str] = (),
) -> ManagerError | None:
    """Save the desired state before acting, so that a manager killed in between leaves no wrong one.

    A stop is carried out even if the disk is full: marks, which need no space, keep the bots stopped. If they
    cannot be made either, the error is returned, to be reported at the end.
    """
    fleet = snapshot.project.fleet
    try:
        save_state(fleet, state_change(change, snapshot, actions, named, called_off))
    except ManagerError as error:
        if change.command == "down":  # a hint for `watch`, and nothing that a stop may fail for
            return None
        if change.wish != "stopped":
            raise
        return None if _are_marked(fleet, _asked(change, snapshot.plan_input, actions, named)) else error
    return None


def _are_marked(fleet: Fleet, stopped: Iterable[str]) -> bool:
    """Mark what is stopped, and return whether all of it is."""
    try:
        for instance in stopped:
            halt_mark.make(fleet, instance, "stop")
    except OSError:
        return False
    return True


def state_change(
    change: Change,
    snapshot: FleetSnapshot,
    actions: list[Action],
    named: list[str] | None,
    called_off: Collection[str] = (),
) -> StateChange:
    """Return the change that this command makes to the fleet's state. What others wrote since is kept.

    `called_off`: instances that were stopped or removed since it was given; their desired state is newer.
    """
    plan_input, fleet = snapshot.plan_input, snapshot.project.fleet
    asked = [
        instance for instance in _asked(change, plan_input, actions, named) if instance not in called_off
    ]
    wishes = plan_input.fleet_state.instances
    starting = [action.instance for action in actions if action.starts]
    # Without an image nothing is created: in the minutes of a build, another program may take the port.
    assigned = starting if snapshot.image != NO_IMAGE else []
    open_ports = {
        instance: spec.web_port
        for instance, spec in snapshot.project.specs.items()
        if instance in assigned and spec.web_port is not None
    }

    def changed(after: FleetState) -> FleetState:
        if change.wish == "run":
            after = after.with_wish(_unmarked(fleet, asked), "run")
        elif change.wish is not None:
            because = None if change.because is None else kept_text.kept(change.because)
            after = after.with_stopped(asked, moment.now(), because)
        elif change.command == "up":  # what a person stopped here, and then started by docker's own means
            up = [instance for instance in wishes if plan_input.is_up(instance)]
            after = after.with_wish(_unmarked(fleet, up), "run")
        if change.command == "down":
            after = after.with_removed(asked, time.time(), moment.now())
            after = after.with_left_known(_known_by_word(plan_input, named))
            gone = [one for one in named or () if one not in plan_input.containers and one in wishes]
            after = after.with_settled(gone, time.time())
        after = after.with_registered(starting, formatting.iso(time.time()))
        return after.with_ports(open_ports)

    return changed


def _known_by_word(plan_input: PlanInput, named: list[str] | None) -> list[str]:
    """Return which of the named instances nobody can ask for: a person who takes them down has looked."""
    containers = plan_input.containers
    return [
        instance
        for instance in named or ()
        if instance not in containers or containers[instance].mode == "paper"
    ]


def keep_halted(change: Change, snapshot: FleetSnapshot, named: Iterable[str] | None) -> None:
    """Save what `resume` is about to start, before it lifts the marks that say so too. Raises ManagerError.

    One that is killed before it has started everything leaves a list: only what was started is taken off it.
    """
    if change.command != "resume":
        return
    halted = {instance: snapshot.plan_input.fleet_state.of(instance).halted for instance in named or ()}
    ran = [instance for instance, halt in halted.items() if halt == "ran"]
    down = [instance for instance, halt in halted.items() if halt == "down"]
    save_state(snapshot.project.fleet, lambda state: state.with_halted(ran, down))


def note_resumed(change: Change, fleet: Fleet, outcome: Outcome[Action]) -> None:
    """Take what `resume` has started off its list. Errors are ignored: see `end_halt`."""
    if change.command == "resume" and outcome.error is None:
        with suppress(ManagerError):
            _take_off_list(fleet, [outcome.action.instance])


def end_halt(
    change: Change, fleet: Fleet, named: Iterable[str] | None, outcomes: Iterable[Outcome[Action]]
) -> ManagerError | None:
    """Take off the list of `resume` all that it was to start, but for those that it did not come to.

    What could not be started should run, as after any other start that fails. Returns why it is not saved.
    """
    if change.command != "resume":
        return None
    missed = {
        outcome.action.instance
        for outcome in outcomes
        if isinstance(outcome.error, CalledOff | EngineUnreachable)
    }
    resumed = [instance for instance in named or () if instance not in missed]
    try:
        _take_off_list(fleet, resumed)
    except ManagerError as error:
        return error
    return None


def _take_off_list(fleet: Fleet, instances: Iterable[str]) -> None:
    save_state(fleet, lambda state: state.with_resumed(_unmarked(fleet, instances)))


def keep_on_list(snapshot: FleetSnapshot, outcomes: Iterable[Outcome[Action]]) -> None:
    """Have the next `resume` start what this command was about to start again when a halt came.

    The halt found it down, in the middle of its restart, or of the `resume` that had taken it off the list.
    """
    fleet, plan_input = snapshot.project.fleet, snapshot.plan_input
    lost = []
    for outcome in outcomes:
        instance = outcome.action.instance
        if outcome.error is None or not outcome.action.starts:
            continue
        did_run = plan_input.is_up(instance) or plan_input.fleet_state.of(instance).halted == "ran"
        mark = halt_mark.find(fleet, instance) if did_run else None
        if mark is not None and mark.by == "halt":
            halt_mark.note_ran(fleet, instance)
            lost.append(instance)
    if lost:
        with suppress(ManagerError):  # the mark says it too
            save_state(fleet, lambda state: state.with_halted(lost, ()))


def _unmarked(fleet: Fleet, instances: Iterable[str]) -> list[str]:
    """Return the instances without a halt mark. A mark made since the snapshot must take precedence."""
    return [instance for instance in instances if halt_mark.find(fleet, instance) is None]


def _asked(
    change: Change, plan_input: PlanInput, actions: list[Action], named: list[str] | None
) -> list[str]:
    """Return the instances whose desired state this command sets."""
    if named is not None:
        return named
    if change.command in {"restart", "start"}:  # leave alone what is stopped, halted, or has ended by itself
        return [action.instance for action in actions if action.kind != "leave"]
    everything = [*{**plan_input.wanted, **plan_input.containers, **plan_input.statuses}]
    if change.command == "stop":  # keeps what is halted on the list of `resume`
        return [
            instance
            for instance in everything
            if plan_input.is_up(instance) or not plan_input.fleet_state.of(instance).halted
        ]
    return everything


def name_instance(session: Session, files: Sequence[str], wanted: str) -> None:
    """Assign another id to the instance of the one config file: `--config FILE --instance-id ID`."""
    snapshot = session.observe()
    if len(files) != 1:
        raise UsageError("--instance-id requires exactly one --config FILE")
    present = snapshot.project.instance_of(files[0])
    if present == wanted:
        return
    if present in snapshot.plan_input.containers:
        raise UsageError(
            "{id} has a container; run `manager down {id}` first, so that one config does not run twice",
            id=present,
        )
    file = snapshot.project.specs[present].config_file
    _require_free_id(wanted, file, snapshot)
    save_state(snapshot.project.fleet, lambda state: state.with_id(file, wanted))


def _require_free_id(instance: str, file: str, snapshot: FleetSnapshot) -> None:
    """Raise before the id is saved: an invalid one would make every later command fail."""
    from manager.config.loader import id_faults  # pydantic, 0.1 s

    if faults := list(id_faults(file, instance)):
        raise ConfigError(faults)
    container = snapshot.plan_input.containers.get(instance)
    if container is not None and container.config_file != file:
        raise UsageError(
            "{id} is the container of {file}; run `manager down {id}` first",
            id=instance,
            file=container.config_file,
        )
    for other in snapshot.project.specs.values():
        if other.id.lower() == instance.lower() and other.config_file != file:
            raise UsageError("{id} is already the instance of {file}", id=instance, file=other.config_file)
