"""Runs actions: the effects of a plan, in parallel, every failure collected. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Event
from types import MappingProxyType
from typing import NamedTuple, assert_never

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config, port_holder
from manager.engine.client import MOST_CALLS, Engine
from manager.engine.containers import DEFAULT_STOP_TIMEOUT_S, Container
from manager.errors import EngineError, ManagerError, NameTaken, NotFound
from manager.fleet import host, supervisor_state
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text, mark
from manager.ops import instance_folders, rollback_store
from manager.ops.action import Action
from manager.util.threads import TaskGroup

SIGKILLED = 137
INTERRUPTED = Text("interrupted")


class Outcome(NamedTuple):
    """What became of one action. `open_orders_left` is the ended bot's own report, None when it gave none."""

    action: Action
    seconds: float
    error: ManagerError | None = None
    was_killed: bool = False
    open_orders_left: int | None = None

    @property
    def has_started(self) -> bool:
        """Whether a bot was started."""
        return self.error is None and self.action.starts


class ExecutionContext(NamedTuple):
    """What the executor works with."""

    engine: Engine
    fleet: Fleet
    specs: Mapping[str, InstanceSpec]
    containers: Mapping[str, Container]
    env_values: Mapping[str, Mapping[str, str]]
    place: Callable[[str], container_config.HostContext]
    called_off: Callable[[], Text | None]
    """Why nothing may be started any more: a person has stopped the fleet by force, or pressed Ctrl-C."""
    steps: Mapping[str, UpgradeRecord] = MappingProxyType({})
    """What `rollback` brings back."""
    await_network: Callable[[], None] = lambda: None
    """Returns when the fleet's network is there: a container can be made before, and not started."""


class End(NamedTuple):
    """How a container was brought down, if it was."""

    was_killed: bool = False
    open_orders_left: int | None = None


def run(
    actions: Iterable[Action], means: ExecutionContext, on_done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Runs every action; one that fails keeps no other from running. `on_done` is called as each one ends.

    All at once, so that a fleet ends as fast as its slowest bot; the engine is given only so much work at a time
    (engine/client.py). Ctrl-C starts nothing more, and waits for what is under way. Raises at the end what `on_done` raised.
    """
    todo, outcomes = list(actions), []
    interrupted, called_off = Event(), means.called_off
    means = means._replace(called_off=lambda: INTERRUPTED if interrupted.is_set() else called_off())
    first = TaskGroup(
        [
            partial(_timed, Action("remove", each.instance, each.cause), means)
            for each in todo
            if each.first_wave
        ],
        MOST_CALLS,
    )
    removed = {outcome.action.instance: outcome for outcome in _outcomes(first, interrupted)}
    crowd = TaskGroup([partial(_timed, each, means, removed.get(each.instance)) for each in todo], MOST_CALLS)
    unsaid: ManagerError | None = None
    for outcome in _outcomes(crowd, interrupted):
        outcomes.append(outcome)
        try:
            if unsaid is None:
                on_done(outcome)
        except (
            ManagerError
        ) as error:  # a disk that is full of what we say leaves no bot stopped in its restart
            unsaid = error
    if unsaid is not None:
        raise unsaid
    return outcomes


def _outcomes(crowd: TaskGroup[Outcome], interrupted: Event) -> Iterator[Outcome]:
    """Each as it ends. Neither Ctrl-C, which is noted, nor a bug in one, which is raised at the end, leaves another behind."""
    bug: Exception | None = None
    while crowd.pending:
        try:
            outcome = crowd.result()
        except KeyboardInterrupt:
            interrupted.set()
        except Exception as error:  # noqa: BLE001 - raised below
            bug = error
        else:
            yield outcome
    if bug is not None:
        raise bug


def _timed(action: Action, means: ExecutionContext, removed: Outcome | None = None) -> Outcome:
    """One action, its failure caught. `removed`: its container is gone already, this is how that went."""
    if removed is not None and removed.error is not None:
        return removed._replace(action=action)
    started = time.monotonic()
    error, end = None, End()
    try:
        end = _perform(action, means, removed)
    except ManagerError as caught:
        error = caught
    return Outcome(action, time.monotonic() - started, error, end.was_killed, end.open_orders_left)


def _perform(action: Action, means: ExecutionContext, removed: Outcome | None) -> End:
    """Does it. Returns how a bot ended on the way. Raises ManagerError."""
    instance, end = action.instance, End()
    match action.kind:
        case "create":
            _make_ready(instance, means)
            _create(instance, means)
        case "recreate":
            _make_ready(instance, means)  # before the stop: a full disk must not take a healthy bot down
            if removed is None:
                _require_free_port(instance, means)
            end = End(removed.was_killed, removed.open_orders_left) if removed else _remove(instance, means)
            _create(instance, means, means.containers[instance].image_id if action.keeps_image else None)
        case "rollback":
            _require_not_called_off(instance, means)
            rollback_store.require_restorable(
                means.steps[instance], instance, means.containers.get(instance), means.fleet, means.engine
            )
            end = _remove(instance, means)
            _restore(action, means)
        case "start":
            _make_ready(instance, means, as_it_was=action.as_it_was)
            _start(action, means)
        case "restart":
            _make_ready(instance, means, as_it_was=action.as_it_was)
            end = _stop(instance, means)
            _start(action, means)
        case "stop":
            end = _stop(instance, means)
        case "remove":
            end = _remove(instance, means)
        case "leave":
            pass
        case _:
            assert_never(action.kind)
    return end


def _require_free_port(instance: str, means: ExecutionContext) -> None:
    """Raises ManagerError when the container would get another port than now, and somebody else has it."""
    spec, present = means.specs[instance], means.containers[instance].web_port
    if spec.web_port is None or spec.web_port == present:
        return
    if not host.is_port_free(means.fleet.bind_address, spec.web_port):
        raise _port_in_use(spec, spec.web_port, means)


def _make_ready(instance: str, means: ExecutionContext, *, as_it_was: bool = False) -> None:
    """Folders, and the new env file beside the old one: everything that can fail without touching the bot."""
    _require_not_called_off(instance, means)
    spec = means.specs.get(instance)
    if spec is not None and not as_it_was:
        owner = means.place(instance).owner
        instance_folders.prepare(spec, means.fleet, owner)
        instance_folders.stage_env(spec, means.fleet, owner, means.env_values[instance])


def _create(instance: str, means: ExecutionContext, image_id: str | None = None) -> None:
    """`image_id`: another image than the fleet's present one."""
    _require_no_bot(instance, means)
    spec, name, place = means.specs[instance], means.fleet.container_name(instance), means.place(instance)
    instance_folders.use_staged_env(spec, means.fleet)
    supervisor_state.forget(means.fleet.instance_state_dir(instance))
    body = container_config.body(spec, means.fleet, place)
    if image_id and image_id != place.image_id:
        body = {
            **container_config.body(spec, means.fleet, place._replace(image_id=image_id)),
            "Image": image_id,
        }
    with _name_explained(instance, name):
        created = means.engine.create(name, body)
    try:
        means.await_network()
    except EngineError as error:
        means.engine.discard(created)
        raise type(error)(mark("cannot start {id}: {why}"), id=instance, why=str(error)) from error
    _engine_start(instance, created, means)


def _restore(action: Action, means: ExecutionContext) -> None:
    """Makes the container of before the upgrade again; the present one is gone."""
    instance = action.instance
    _require_no_bot(instance, means)
    with _name_explained(instance, means.fleet.container_name(instance)):
        created = rollback_store.restore(
            means.steps[instance], instance, means.fleet, means.engine, means.place(instance).owner
        )
    if not action.stays_down:
        _engine_start(instance, created, means)


@contextmanager
def _name_explained(instance: str, name: str) -> Iterator[None]:
    try:
        yield
    except NameTaken as error:
        raise EngineError(
            "cannot create {id}: the name {name} is taken by a container that is not of this fleet; remove or rename it",
            id=instance, name=name,
        ) from error  # fmt: skip


def _start(action: Action, means: ExecutionContext) -> None:
    _require_no_bot(action.instance, means)
    spec = means.specs.get(action.instance)
    if spec is not None and not action.as_it_was:
        instance_folders.use_staged_env(spec, means.fleet)
    if action.is_fresh:
        supervisor_state.forget(means.fleet.instance_state_dir(action.instance))
    _engine_start(action.instance, means.containers[action.instance].id, means)


def _engine_start(instance: str, container_id: str, means: ExecutionContext) -> None:
    try:
        means.engine.start(container_id, before=lambda: _require_not_called_off(instance, means))
    except EngineError as error:
        raise _start_error(instance, error, means) from error
    try:
        _require_not_called_off(instance, means)
    except ManagerError:  # called off while the engine started it: who called it off did not see it
        spec = means.specs.get(instance)
        means.engine.stop(container_id, spec.container_stop_timeout if spec else DEFAULT_STOP_TIMEOUT_S)
        raise


def _require_not_called_off(instance: str, means: ExecutionContext) -> None:
    if why := means.called_off():
        raise ManagerError("{id} is not started: {why}", id=instance, why=why)


def _start_error(instance: str, error: EngineError, means: ExecutionContext) -> ManagerError:
    text = str(error)
    spec = means.specs.get(instance)
    if (
        spec is not None
        and spec.web_port is not None
        and ("port is already allocated" in text or "address already in use" in text)
    ):
        return _port_in_use(spec, spec.web_port, means)
    return type(error)(mark("cannot start {id}: {why}"), id=instance, why=text)


def _port_in_use(spec: InstanceSpec, port: int, means: ExecutionContext) -> EngineError:
    return EngineError(
        "cannot start {id}: port {port} is in use by {holder}; free it, or change daemon_config.web_port in {file}",
        id=spec.id, port=port, holder=port_holder.holder(port, means.engine, means.fleet.name), file=spec.config_file,
    )  # fmt: skip


def _stop(instance: str, means: ExecutionContext) -> End:
    """Stops the container; returns how its bot ended."""
    found, end = means.containers.get(instance), End()
    if found is not None and found.is_up:
        try:
            means.engine.stop(found.id, found.stop_timeout)
            orders = supervisor_state.open_orders_left(means.fleet.instance_state_dir(instance))
            end = End(was_killed(found, means.fleet, means.engine), orders)
        except NotFound:
            pass
        except EngineError as error:
            raise type(error)(mark("cannot stop {id}: {why}"), id=instance, why=str(error)) from error
    _require_no_bot(instance, means)
    return end


def _require_no_bot(instance: str, means: ExecutionContext) -> None:
    """Raises ManagerError while a bot of this instance lives somewhere: nothing else is a stop, and no start may follow."""
    state_dir = means.fleet.instance_state_dir(instance)
    if not supervisor_state.is_held(state_dir):
        return
    said = supervisor_state.read(state_dir)
    raise ManagerError(
        "{id}: its bot is running already, in container {container}, which is not its own (a one-off, or another engine's);"
        " `docker stop {container}` stops it",
        id=instance, container=said.container[:12] if said else "?",
    )  # fmt: skip


def was_killed(found: Container, fleet: Fleet, engine: Engine) -> bool:
    """Whether a container that is down now, or its bot, had to be killed.

    The supervisor's last word tells; where it could say none, the container's exit code. Raises EngineError.
    """
    said = supervisor_state.read(fleet.instance_state_dir(found.instance))
    if said is None or said.container != found.id or said.state not in {"stopped", "failed", "completed"}:
        return bool(engine.inspect(found.id)["State"]["ExitCode"] == SIGKILLED)
    return said.state == "stopped" and said.last_exit is not None and said.last_exit.killed


def _remove(instance: str, means: ExecutionContext) -> End:
    """Stops and removes the container; returns how its bot ended."""
    end = _stop(instance, means)
    found = means.containers.get(instance)
    if found is None:
        return end
    try:
        means.engine.remove(found.id)
    except NotFound:
        pass
    except EngineError as error:
        raise type(error)(mark("cannot remove {id}: {why}"), id=instance, why=str(error)) from error
    return end
