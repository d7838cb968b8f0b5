"""Runs actions: the effects of a plan, in parallel, every failure collected. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple, assert_never

from manager import container, folders, supervision
from manager.engine import MOST_CALLS, Engine
from manager.errors import EngineError, ManagerError, NameTaken, NotFound
from manager.fleet import Fleet
from manager.i18n import _, mark
from manager.plan import Action
from manager.registry import Container
from manager.spec import InstanceSpec

SIGKILLED = 137


class Outcome(NamedTuple):
    """What became of one action. `open_orders_left` is the stopped bot's own report, None when it gave none."""

    action: Action
    seconds: float
    error: ManagerError | None = None
    was_killed: bool = False
    open_orders_left: int | None = None

    @property
    def has_started(self) -> bool:
        """Whether a bot was started."""
        return self.error is None and self.action.kind in {"create", "recreate", "start", "restart"}


class Means(NamedTuple):
    """What the executor works with."""

    engine: Engine
    fleet: Fleet
    specs: Mapping[str, InstanceSpec]
    containers: Mapping[str, Container]
    env_values: Mapping[str, Mapping[str, str]]
    place: Callable[[str], container.Place]
    was_passed: Callable[[], bool]
    """Whether a person has meanwhile stopped or taken down the fleet by force."""


def run(actions: Iterable[Action], means: Means, on_done: Callable[[Outcome], None]) -> list[Outcome]:
    """Runs every action; one that fails keeps no other from running. `on_done` is called as each one ends.

    All at once, so that a fleet ends as fast as its slowest bot: the engine's side bounds what is more than waiting.
    """
    todo = list(actions)
    outcomes = []
    with ThreadPoolExecutor(max_workers=MOST_CALLS) as pool:
        first = [
            pool.submit(_timed, Action("remove", each.instance, each.cause), means)
            for each in todo
            if each.first_wave
        ]
        removed = {outcome.action.instance: outcome for outcome in (future.result() for future in first)}
        pending = [pool.submit(_timed, each, means, removed.get(each.instance)) for each in todo]
        for future in as_completed(pending):
            outcomes.append(future.result())
            on_done(outcomes[-1])
    return outcomes


def _timed(action: Action, means: Means, removed: Outcome | None = None) -> Outcome:
    """One action, its failure caught. `removed`: its container is gone already, this is how that went."""
    if removed is not None and removed.error is not None:
        return Outcome(action, removed.seconds, removed.error)
    started = time.monotonic()
    error, was_killed = None, False
    try:
        was_killed = _perform(action, means, removed)
    except ManagerError as caught:
        error = caught
    state_dir = means.fleet.instance_state_dir(action.instance)
    reports = action.kind in {"stop", "remove"}
    return Outcome(
        action,
        time.monotonic() - started,
        error,
        was_killed,
        open_orders_left=supervision.open_orders_left(state_dir) if reports else None,
    )


def _perform(action: Action, means: Means, removed: Outcome | None) -> bool:
    """Does it. Returns whether a bot had to be killed on the way. Raises ManagerError."""
    was_killed = False
    match action.kind:
        case "create":
            _create(action.instance, means)
        case "recreate":
            was_killed = removed.was_killed if removed else _remove(action.instance, means)
            _create(action.instance, means)
        case "start":
            _start(action, means)
        case "restart":
            was_killed = _stop(action.instance, means)
            _start(action, means)
        case "stop":
            was_killed = _stop(action.instance, means)
        case "remove":
            was_killed = _remove(action.instance, means)
        case "leave":
            pass
        case _:
            assert_never(action.kind)
    return was_killed


def _create(instance: str, means: Means) -> None:
    _require_no_bot(instance, means)
    spec = means.specs[instance]
    place = means.place(instance)
    owner = place.owner
    folders.prepare(spec, means.fleet, owner)
    folders.write_env(spec, means.fleet, owner, means.env_values[instance])
    supervision.forget(means.fleet.instance_state_dir(instance))
    name = means.fleet.container_name(instance)
    try:
        created = means.engine.create(name, container.body(spec, means.fleet, place))
    except NameTaken as error:
        raise EngineError(
            "cannot create {id}: the name {name} is taken by a container that is not of this fleet; remove or rename it",
            id=instance, name=name,
        ) from error  # fmt: skip
    _engine_start(instance, created, means)


def _start(action: Action, means: Means) -> None:
    _require_no_bot(action.instance, means)
    spec = means.specs.get(action.instance)
    if spec is not None:
        place = means.place(action.instance)
        owner = place.owner
        folders.prepare(spec, means.fleet, owner)
        folders.write_env(spec, means.fleet, owner, means.env_values[action.instance])
    if action.is_fresh:
        supervision.forget(means.fleet.instance_state_dir(action.instance))
    _engine_start(action.instance, means.containers[action.instance].id, means)


def _engine_start(instance: str, container_id: str, means: Means) -> None:
    if means.was_passed():
        raise ManagerError("{id} is not started: the fleet was stopped by force meanwhile", id=instance)
    try:
        means.engine.start(container_id)
    except EngineError as error:
        raise _start_error(instance, error, means) from error


def _start_error(instance: str, error: EngineError, means: Means) -> ManagerError:
    text = str(error)
    spec = means.specs.get(instance)
    if (
        spec is not None
        and spec.web_port is not None
        and ("port is already allocated" in text or "address already in use" in text)
    ):
        return EngineError(
            "cannot start {id}: port {port} is in use by {holder}; free it, or change daemon_config.web_port in {file}",
            id=instance, port=spec.web_port, holder=_port_holder(spec.web_port, means), file=spec.config_file,
        )  # fmt: skip
    return type(error)(mark("cannot start {id}: {why}"), id=instance, why=text)


def _port_holder(port: int, means: Means) -> str:
    """Who has the port: a container by name, else a process as far as we may see it."""
    for name in means.engine.publishing(port):
        return name.removeprefix(f"{means.fleet.name}-")
    import psutil  # only on the way to an error message

    try:
        for connection in psutil.net_connections("tcp"):
            listens = (
                connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            )
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return _("another program")


def _stop(instance: str, means: Means) -> bool:
    """Stops the container; returns whether its bot had to be killed."""
    found, was_killed = means.containers.get(instance), False
    if found is not None and found.is_up:
        try:
            means.engine.stop(found.id, found.stop_timeout)
            was_killed = _was_killed(instance, found, means)
        except NotFound:
            pass
        except EngineError as error:
            raise type(error)(mark("cannot stop {id}: {why}"), id=instance, why=str(error)) from error
    _require_no_bot(instance, means)
    return was_killed


def _require_no_bot(instance: str, means: Means) -> None:
    """Raises ManagerError while a bot of this instance lives somewhere: nothing else is a stop, and no start may follow."""
    state_dir = means.fleet.instance_state_dir(instance)
    if not supervision.is_held(state_dir):
        return
    said = supervision.read(state_dir)
    raise ManagerError(
        "{id}: its bot is running already, in container {container}, which is not its own (a one-off, or another engine's);"
        " `docker stop {container}` stops it",
        id=instance, container=said.container[:12] if said else "?",
    )  # fmt: skip


def _was_killed(instance: str, found: Container, means: Means) -> bool:
    """The supervisor's last word tells; where it could say none, the container's exit code."""
    said = supervision.read(means.fleet.instance_state_dir(instance))
    if said is None or said.container != found.id or said.state not in {"stopped", "failed", "completed"}:
        return bool(means.engine.inspect(found.id)["State"]["ExitCode"] == SIGKILLED)
    return said.state == "stopped" and said.last_exit is not None and said.last_exit.killed


def _remove(instance: str, means: Means) -> bool:
    """Stops and removes the container; returns whether its bot had to be killed."""
    was_killed = _stop(instance, means)
    found = means.containers.get(instance)
    if found is None:
        return was_killed
    try:
        means.engine.remove(found.id)
    except NotFound:
        pass
    except EngineError as error:
        raise type(error)(mark("cannot remove {id}: {why}"), id=instance, why=str(error)) from error
    return was_killed
