"""Stop one container. Halts, stops and recreations all use this."""

from __future__ import annotations

import time
from collections.abc import Callable

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import ManagerError, NotFound
from manager.fleet import bot_report, supervisor_state
from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome

SIGKILLED = 137


def stop(
    container: Container, fleet: Fleet, engine: Engine, wait_turn: Callable[[Container], None]
) -> Outcome[Action]:
    """Stop the container in its turn and return how its bot stopped.

    Never raises ManagerError: it is in the outcome.
    """
    began = time.monotonic()
    killed, error = False, None
    try:
        wait_turn(container)
        began = time.monotonic()
        engine.stop(container.id, container.stop_timeout)
        killed = was_killed(container, fleet, engine)
    except NotFound:  # removed meanwhile: it is down
        pass
    except ManagerError as caught:
        error = caught
    state_dir = fleet.instance_state_dir(container.instance)
    return Outcome(
        Action("stop", container.instance, Text("requested")),
        time.monotonic() - began,
        error,
        killed,
        supervisor_state.open_orders_left(state_dir),
        bot_report.position_left(state_dir),
    )


def was_killed(container: Container, fleet: Fleet, engine: Engine) -> bool:
    """Return whether a stopped container, or its bot, had to be killed. Raises EngineError.

    The supervisor's last state tells; without one, the container's exit code.
    """
    state = supervisor_state.read(fleet.instance_state_dir(container.instance))
    if (
        state is None
        or state.container != container.id
        or state.state not in {"stopped", "failed", "completed"}
    ):
        return bool(engine.inspect(container.id)["State"]["ExitCode"] == SIGKILLED)
    return state.state == "stopped" and state.last_exit is not None and state.last_exit.killed
