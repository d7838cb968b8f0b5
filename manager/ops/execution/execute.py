"""Execute a plan's actions in parallel, and collect every failure. Makes no decisions."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from manager.engine import container_config, fleet_network
from manager.engine.client import MOST_CALLS
from manager.engine.containers import UNLABELLED_STOP_TIMEOUT_S
from manager.errors import CalledOff, EngineError, EngineUnreachable, ManagerError, NameTaken, PortInUse
from manager.fleet import start_lock, state_reset, supervisor_state
from manager.i18n import Text, mark
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import ASKED_AT_ONCE
from manager.ops.execution import limits, ports, rollback_store, take_down
from manager.ops.execution.context import IN_THE_MIDDLE, ExecutionContext
from manager.ops.execution.stop_turns import StopTurns
from manager.ops.folders import instance_folders
from manager.typed import assert_never
from manager.util.interrupts import Ending, Interruption
from manager.util.threads import TaskGroup


def run(
    actions: Iterable[Action],
    context: ExecutionContext,
    on_done: Callable[[Outcome[Action]], object],
    on_end: Callable[[Sequence[Outcome[Action]]], object],
) -> list[Outcome[Action]]:
    """Run every action; one that fails does not prevent the others. `on_done` is called as each one ends.
    `on_end` gets all outcomes, however it ends, also those of what a second signal has interrupted.

    All run at once, so that stopping a fleet takes as long as its slowest bot; engine/client.py limits the
    engine's load. After Ctrl-C or SIGTERM nothing more is begun; what has been stopped for its restart is
    started again, and what is to be down is taken down. A second signal ends it at once. Exceptions of
    `on_done` are raised at the end.
    """
    todo = list(actions)
    with (context.ending or Ending()).begun():
        outcomes: list[Outcome[Action]] = []
        try:
            _run(todo, context._replace(turns=StopTurns()), on_done, outcomes)
        finally:
            on_end(outcomes)
        return outcomes


def _run(
    todo: list[Action],
    context: ExecutionContext,
    on_done: Callable[[Outcome[Action]], object],
    outcomes: list[Outcome[Action]],
) -> None:
    """Add each outcome as it arrives, so that none is lost when this is interrupted."""
    output_error: ManagerError | None = None
    begun = [action for action in todo if action.first_wave]
    try:
        stopped = _stop_first(begun, context)
        begun = todo
        for outcome in _all(todo, context, stopped):
            outcomes.append(outcome)
            try:
                if output_error is None:
                    on_done(outcome)
            except ManagerError as error:  # a full disk must not leave a bot stopped in its restart
                output_error = error
    except Interruption as interruption:
        done = {outcome.action.instance for outcome in outcomes}
        left = [action for action in begun if action.instance not in done]
        interruption.left = [action.instance for action in left]
        outcomes += [Outcome(action, error=CalledOff("{why}", why=IN_THE_MIDDLE)) for action in left]
        raise
    # Where each creation failed, none has waited. A network that is still being created when the command ends
    # is not seen by the next one, which creates another of the same name.
    with suppress(ManagerError):
        context.await_network()
    if output_error is not None:
        raise output_error


def _stop_first(actions: list[Action], context: ExecutionContext) -> dict[str, Outcome[Action]]:
    """Stop the containers whose ports other actions need, and return the outcomes by instance.

    One is kept, with the error, if what it is to become cannot be made ready, or needs the port of one that
    is kept: its bot goes on. So does that of one which was stopped for the port of another that cannot be.
    """
    readied = TaskGroup([partial(_readied, action, context) for action in actions], MOST_CALLS)
    kept = {outcome.action.instance: outcome for outcome in _outcomes(readied) if outcome.error is not None}
    kept |= _blocked([action for action in actions if action.instance not in kept], context)
    going = [action for action in actions if action.instance not in kept]
    not_asking = context._replace(has_unknown_rest=lambda _container: False)  # they are made anew at once
    todo = [Action("stop", action.instance, action.cause) for action in going]
    stops = TaskGroup([partial(_timed, action, not_asking) for action in todo], MOST_CALLS)
    stopped = {outcome.action.instance: outcome for outcome in _outcomes(stops)}
    gone = [action for action in going if stopped[action.instance].error is None]
    if len(gone) < len(going):
        for instance, outcome in _blocked(gone, context).items():
            _start_again(instance, context)
            stopped[instance] = outcome
    return kept | stopped


def _blocked(going: list[Action], context: ExecutionContext) -> dict[str, Outcome[Action]]:
    """Return those of them that would get a port which is in use, and not freed by another of them."""
    blocked: dict[str, Outcome[Action]] = {}
    while True:
        left = [action for action in going if action.instance not in blocked]
        freed = {context.containers[action.instance].web_port for action in left}
        more = {
            action.instance: Outcome(action, error=error)
            for action in left
            if (error := ports.fault(action.instance, context, freed)) is not None
        }
        if not more:
            return blocked
        blocked |= more


def _start_again(instance: str, context: ExecutionContext) -> None:
    """Start as it was what was stopped for nothing, if it ran. Errors are ignored: the next `up` does it."""
    again = Action("start", instance, Text("not running"), is_fresh=False, as_it_was=True)
    if context.containers[instance].is_up:
        with suppress(ManagerError):
            _start(again, context.finishing())


def _readied(action: Action, context: ExecutionContext) -> Outcome[Action]:
    """Make ready what can fail without touching the bot."""
    try:
        _make_ready(action.instance, context)
        _require_resettable(action.instance, context)
    except ManagerError as caught:
        return Outcome(action, error=caught)
    return Outcome(action)


def _all(
    todo: list[Action], context: ExecutionContext, stopped: Mapping[str, Outcome[Action]]
) -> Iterator[Outcome[Action]]:
    """Yield outcomes as they arrive. Exchanges are asked when every bot has been stopped: they take long."""
    to_ask = []
    tasks = TaskGroup(
        [partial(_timed, action, context, stopped.get(action.instance)) for action in todo], MOST_CALLS
    )
    for outcome in _outcomes(tasks):
        if outcome.answer is take_down.TO_ASK:
            to_ask.append(outcome)
        else:
            yield outcome
    yield from _outcomes(
        TaskGroup([partial(take_down.settle, outcome, context) for outcome in to_ask], ASKED_AT_ONCE)
    )


def _outcomes(tasks: TaskGroup[Outcome[Action]]) -> Iterator[Outcome[Action]]:
    """Yield outcomes as they arrive. A bug is raised at the end, so that none is lost."""
    bug: Exception | None = None
    while tasks.pending:
        try:
            outcome = tasks.result()
        except Exception as error:  # noqa: BLE001 - raised below
            bug = error
        else:
            yield outcome
    if bug is not None:
        raise bug


def _timed(
    action: Action, context: ExecutionContext, stopped: Outcome[Action] | None = None
) -> Outcome[Action]:
    """Run one action and catch its failure.

    `stopped`: the outcome of its stop, or why it was not stopped, if it was in the first wave.
    """
    if stopped is not None and stopped.error is not None:
        return stopped._replace(action=action)
    began = time.monotonic()
    error, done = None, None
    try:
        done = _perform(action, context, stopped)
    except ManagerError as caught:
        error = caught
    return (done or Outcome(action))._replace(
        action=action,
        seconds=time.monotonic() - began,
        error=error,
        port_notice=context.port_choice.notice(action.instance) if context.port_choice else None,
    )


def _perform(
    action: Action, context: ExecutionContext, stopped: Outcome[Action] | None
) -> Outcome[Action] | None:
    """Run the action. Returns how a bot was stopped, None if none was. Raises ManagerError."""
    instance = action.instance
    if stopped is not None or not action.starts:
        context = context.finishing()
    if action.starts:  # before anything is stopped or made for it
        _require_not_called_off(instance, context)
    match action.kind:
        case "create":
            _make_ready(instance, context)
            _create(instance, context)
        case "recreate":
            if is_alone := stopped is None:  # before the stop: a full disk must not take a healthy bot down
                _make_ready(instance, context)
                _require_resettable(instance, context)
                if (error := ports.fault(instance, context)) is not None:
                    raise error
            stopped = stopped or take_down.stop(instance, context)
            _remove_stopped(instance, context, starts_again=is_alone)
            image_id = context.containers[instance].image_id if action.keeps_image else None
            _create(instance, context.finishing(), image_id)
        case "rollback":
            _require_not_called_off(instance, context)
            rollback_store.require_restorable(
                context.steps[instance],
                instance,
                context.containers.get(instance),
                context.fleet,
                context.engine,
            )
            _require_resettable(instance, context)
            stopped = take_down.stop(instance, context)
            _remove_stopped(instance, context, starts_again=True)
            _restore(action, context.finishing())
        case "start":
            _make_ready(instance, context, as_it_was=action.as_it_was)
            _start(action, context)
        case "restart":
            _make_ready(instance, context, as_it_was=action.as_it_was)
            _require_resettable(instance, context)
            stopped = take_down.stop(instance, context)
            _start(action, context.finishing())
        case "update":
            limits.put_back(context.specs[instance], context)
        case "stop" | "remove" | "leave":
            stopped = take_down.take_down(action, context)
        case _:
            assert_never(action.kind)
    return stopped


def _remove_stopped(instance: str, context: ExecutionContext, *, starts_again: bool) -> None:
    """Remove the stopped container. Raises ManagerError.

    `starts_again`: its bot then runs on as it was. Not in the first wave: another one needs its port.
    """
    try:
        take_down.remove_stopped(instance, context)
    except ManagerError as error:
        if starts_again and not isinstance(error, EngineUnreachable):
            _start_again(instance, context)
        raise


def _require_resettable(instance: str, context: ExecutionContext) -> None:
    state_reset.require_resettable(context.fleet.instance_state_dir(instance))


def _make_ready(instance: str, context: ExecutionContext, *, as_it_was: bool = False) -> None:
    """Create folders and stage the new env file: everything that can fail without touching the bot."""
    _require_not_called_off(instance, context)
    spec = context.specs.get(instance)
    if spec is not None and not as_it_was:
        owner = context.place(instance).owner
        instance_folders.prepare(spec, context.fleet, owner)
        instance_folders.stage_env(spec, context.fleet, owner, context.env_values[instance])


def _create(instance: str, context: ExecutionContext, image_id: str | None = None) -> None:
    """Create and start a container, with another port if its own was taken meanwhile and may be changed.

    `image_id`: instead of the fleet's present image.
    """
    take_down.require_no_bot(instance, context)
    instance_folders.use_staged_env(context.specs[instance], context.fleet)
    state_reset.reset(context.fleet.instance_state_dir(instance))
    while True:
        created = _created(instance, context, image_id)
        try:
            return _engine_start(instance, created, context)
        except PortInUse as error:
            if (again := ports.chosen_anew(instance, error, context)) is None:
                raise
            context.engine.discard(created)
            context = again


def _created(instance: str, context: ExecutionContext, image_id: str | None) -> str:
    """Return the id of a new container, whose network is there."""
    spec, place = context.specs[instance], context.place(instance)
    name = context.fleet.container_name(instance)
    body = container_config.body(spec, context.fleet, place)
    if image_id and image_id != place.image_id:
        body = {
            **container_config.body(spec, context.fleet, place._replace(image_id=image_id)),
            "Image": image_id,
        }
    with _name_explained(instance, name):
        created = context.engine.create(name, body)
    try:
        context.await_network()
    except ManagerError as error:
        context.engine.discard(created)
        raise type(error)(mark("cannot start {id}: {why}"), id=instance, why=str(error)) from error
    return created


def _restore(action: Action, context: ExecutionContext) -> None:
    """Create the container from before the upgrade; the present one is already removed."""
    instance = action.instance
    take_down.require_no_bot(instance, context)
    with _name_explained(instance, context.fleet.container_name(instance)):
        created = rollback_store.restore(
            context.steps[instance], instance, context.fleet, context.engine, context.place(instance).owner
        )
    if not action.stays_down:
        _engine_start(instance, created, context)


@contextmanager
def _name_explained(instance: str, name: str) -> Iterator[None]:
    try:
        yield
    except NameTaken as error:
        raise EngineError(
            "cannot create {id}: the name {name} is used by a container outside this fleet; remove or"
            " rename it",
            id=instance,
            name=name,
        ) from error


def _start(action: Action, context: ExecutionContext) -> None:
    take_down.require_no_bot(action.instance, context)
    spec = context.specs.get(action.instance)
    if spec is not None and not action.as_it_was:
        instance_folders.use_staged_env(spec, context.fleet)
        with suppress(EngineError):  # the bot starts even so, as it would have without being asked
            limits.put_back(spec, context)
    state_dir = context.fleet.instance_state_dir(action.instance)
    # On a full disk, the previous run's last state may not even be "stopped": it must not be taken for this
    # one's.
    if action.is_fresh or not supervisor_state.is_final(state_dir):
        state_reset.reset(state_dir)
    _engine_start(action.instance, context.containers[action.instance].id, context)


def _engine_start(instance: str, container_id: str, context: ExecutionContext) -> None:
    """Start it, checking before and after that it was not called off. A halt waits for both checks."""
    with start_lock.under_way(context.fleet):
        context.give_turn(instance)
        start = partial(
            context.engine.start, container_id, before=lambda: _require_not_called_off(instance, context)
        )
        try:
            try:
                start()
            except EngineError as error:
                if not fleet_network.remove_doubles(context.engine, context.fleet, error):
                    raise
                start()
        except EngineError as error:
            raise ports.start_error(instance, error, context) from error
        try:
            _require_not_called_off(instance, context.finishing())
        except ManagerError:  # called off while the engine started it: who called it off did not see it
            spec = context.specs.get(instance)
            context.engine.stop(
                container_id, spec.container_stop_timeout if spec else UNLABELLED_STOP_TIMEOUT_S
            )
            raise


def _require_not_called_off(instance: str, context: ExecutionContext) -> None:
    if why := context.called_off():
        raise CalledOff("{id} is not started: {why}", id=instance, why=why)
    take_down.require_not_interrupted(instance, context)
    if why := context.why_not_started(instance):
        raise ManagerError("{id} is not started: {why}", id=instance, why=why)
