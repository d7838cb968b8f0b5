"""Stop and remove an instance's container, and learn what its bot has left at the exchange.

A container is removed last of all: from nothing else can the exchange be asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from manager.engine import labels
from manager.engine.containers import Container
from manager.errors import CalledOff, EngineError, ManagerError, NotFound
from manager.fleet import bot_report, closed_report, hidden_lock, state_file, supervisor_state
from manager.fleet.state_file import FleetState
from manager.i18n import mark
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import Answer
from manager.ops.exchange import unknown_rest
from manager.ops.execution.context import ExecutionContext
from manager.ops.execution.stop import stop as stop_container

TO_ASK = Answer(None)
"""The answer of an outcome for which the exchange is still to be asked."""


def stop(instance: str, context: ExecutionContext) -> Outcome[Action] | None:
    """Stop the container if it is up; return how its bot stopped."""
    container = context.containers.get(instance)
    stopped = (
        stop_container(container, context.fleet, context.engine, partial(_wait_turn, context))
        if container is not None and container.is_up
        else None
    )
    if stopped is not None and (error := stopped.error) is not None:
        if isinstance(error, CalledOff):
            raise error
        raise type(error)(mark("cannot stop {id}: {why}"), id=instance, why=str(error)) from error
    require_no_bot(instance, context)
    return stopped


def _wait_turn(context: ExecutionContext, container: Container) -> None:
    """Wait until it may be stopped. Raises CalledOff if the command ends before it is: its bot goes on."""
    ending = None if context.is_bound_to_finish else context.ending
    context.turns.wait(container, ending.wait if ending is not None else None)
    require_not_interrupted(container.instance, context)


def require_not_interrupted(instance: str, context: ExecutionContext) -> None:
    """Raise CalledOff if somebody ends the command: nothing more is begun."""
    if why := context.interrupted():
        container = context.containers.get(instance)
        if container is not None and container.is_up:
            raise CalledOff("{id} was left as it was: {why}", id=instance, why=why)
        raise CalledOff("{id} is not started: {why}", id=instance, why=why)


def require_no_bot(instance: str, context: ExecutionContext) -> None:
    """Raise ManagerError while a bot of this instance runs anywhere, so that it never runs twice."""
    state_dir = context.fleet.instance_state_dir(instance)
    if not supervisor_state.is_locked(state_dir):
        return
    if hidden := hidden_lock.hidden_text(instance, state_dir):
        raise ManagerError("{why}", why=hidden)
    state = supervisor_state.read(state_dir)
    raise ManagerError(
        "{id}: its bot is already running in container {container}, which is not the instance's own (a"
        " one-off, or another engine's); stop it with `docker stop {container}`",
        id=instance,
        container=state.container[:12] if state else "?",
    )


def remove(instance: str, context: ExecutionContext) -> Outcome[Action] | None:
    """Stop and remove the container; return how its bot stopped."""
    stopped = stop(instance, context)
    remove_stopped(instance, context)
    return stopped


def remove_stopped(instance: str, context: ExecutionContext) -> None:
    """Remove the container, if there is one. Raises EngineError."""
    container = context.containers.get(instance)
    if container is None:
        return
    try:
        context.engine.remove(container.id)
    except NotFound:
        pass
    except EngineError as error:
        raise type(error)(mark("cannot remove {id}: {why}"), id=instance, why=str(error)) from error


def take_down(action: Action, context: ExecutionContext) -> Outcome[Action] | None:
    """Stop or remove the container, and return how its bot stopped, and what it left.

    If only the exchange can tell that, the container is not removed yet. `leave`: it is down already.
    """
    instance = action.instance
    stopped = None if action.kind == "leave" else stop(instance, context)
    container = context.containers.get(instance)
    if container is None:
        return stopped
    state_dir = context.fleet.instance_state_dir(instance)
    outcome = stopped or Outcome(
        action,
        open_orders_left=supervisor_state.open_orders_left(state_dir),
        position=bot_report.position_left(state_dir),
    )
    if context.has_unknown_rest(container):
        return outcome._replace(answer=TO_ASK)
    if action.kind == "remove":
        remove_stopped(instance, context)
    return outcome


def settle(outcome: Outcome[Action], context: ExecutionContext) -> Outcome[Action]:
    """Ask what is left at the exchange, and only then remove the container that it is asked from."""
    began, action = time.monotonic(), outcome.action
    container = context.containers[action.instance]
    why = context.called_off() or context.interrupted()  # nobody waits for an exchange
    if outcome.open_orders_left is None and labels.OPEN_ORDERS in container.labels:
        # before it is asked, for a manager that is killed while it waits
        since = {action.instance: unknown_rest.from_now(context.fleet, action.instance)}
        _save(context, lambda state: state.with_left_unknown(since))
    answer = Answer(None, why=why) if why else context.ask(container)
    if answer.left is not None:
        state_dir = context.fleet.instance_state_dir(action.instance)
        closed_report.keep_answer(state_dir, answer.left, answer.position)
        _save(context, lambda state: state.with_left_known([action.instance]))
    error: ManagerError | None = None
    if action.kind == "remove" and context.interrupted():
        error = CalledOff(
            "{id} was stopped and is not removed: its exchange can be asked only while its container exists;"
            " run `manager down {id}` again",
            id=action.instance,
        )
    elif action.kind == "remove":
        try:
            remove(action.instance, context)
        except ManagerError as caught:
            error = caught
    return outcome._replace(
        seconds=outcome.seconds + time.monotonic() - began,
        error=error,
        answer=answer,
        open_orders_left=outcome.open_orders_left if answer.left is None else answer.left,
        position=answer.position or outcome.position,
    )


def _save(context: ExecutionContext, change: Callable[[FleetState], FleetState]) -> None:
    """Keep it; what cannot be kept has been said."""
    with suppress(ManagerError):
        state_file.update(context.fleet, change)
