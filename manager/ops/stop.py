"""Stops one container: the one way that a halt, a stop and a recreation share."""

from __future__ import annotations

import time

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import ManagerError, NotFound
from manager.fleet import supervisor_state
from manager.i18n import Text
from manager.ops.action import Action, Outcome

SIGKILLED = 137


def stop(container: Container, fleet: Fleet, engine: Engine) -> Outcome[Action]:
    """Stop the container and return how its bot ended. Never raises ManagerError: an error says why it may still run."""
    began = time.monotonic()
    killed, error = False, None
    try:
        engine.stop(container.id, container.stop_timeout)
        killed = was_killed(container, fleet, engine)
    except NotFound:  # removed meanwhile: it is down
        pass
    except ManagerError as caught:
        error = caught
    state_dir = fleet.instance_state_dir(container.instance)
    return Outcome(
        Action("stop", container.instance, Text("asked for")),
        time.monotonic() - began,
        error,
        killed,
        supervisor_state.open_orders_left(state_dir),
        supervisor_state.position_left(state_dir),
    )


def was_killed(container: Container, fleet: Fleet, engine: Engine) -> bool:
    """Return whether a container that is down now, or its bot, had to be killed. Raises EngineError.

    The supervisor's last word tells; where it could say none, the container's exit code.
    """
    state = supervisor_state.read(fleet.instance_state_dir(container.instance))
    if (
        state is None
        or state.container != container.id
        or state.state not in {"stopped", "failed", "completed"}
    ):
        return bool(engine.inspect(container.id)["State"]["ExitCode"] == SIGKILLED)
    return state.state == "stopped" and state.last_exit is not None and state.last_exit.killed
