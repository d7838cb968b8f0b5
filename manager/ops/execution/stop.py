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
from manager.typed import Literal

SIGKILLED = 137

KilledBy = Literal["time", "memory"]
"""The end of its stop time-out, or the kernel because it needed more memory than it may."""


def stop(
    container: Container, fleet: Fleet, engine: Engine, wait_turn: Callable[[Container], None]
) -> Outcome[Action]:
    """Stop the container in its turn and return how its bot stopped.

    Never raises ManagerError: it is in the outcome.
    """
    began = time.monotonic()
    killed: KilledBy | None = None
    error = None
    try:
        wait_turn(container)
        began, began_at = time.monotonic(), time.time()
        engine.stop(container.id, container.stop_timeout)
        killed = killed_by(container, fleet, engine, began_at)
    except NotFound:  # removed meanwhile: it is down
        pass
    except ManagerError as caught:
        error = caught
    state_dir = fleet.instance_state_dir(container.instance)
    return Outcome(
        Action("stop", container.instance, Text("requested")),
        time.monotonic() - began,
        error,
        killed is not None,
        supervisor_state.open_orders_left(state_dir),
        bot_report.position_left(state_dir),
        exceeded_memory=killed == "memory",
    )


def killed_by(container: Container, fleet: Fleet, engine: Engine, began_at: float) -> KilledBy | None:
    """Return why a stopped container, or its bot, was killed; None if it ended by itself.

    The supervisor's last state tells; without one, the container's exit code. `began_at`: when it was told to
    stop; a bot that had exceeded its memory before that has no part in it. Raises EngineError.
    """
    state = supervisor_state.read(fleet.instance_state_dir(container.instance))
    if (
        state is None
        or state.container != container.id
        or state.state not in {"stopped", "failed", "completed"}
    ):
        ended = engine.inspect(container.id)["State"]
        if ended["ExitCode"] != SIGKILLED:
            return None
        is_early = time.time() - began_at < container.stop_timeout
        return "memory" if ended.get("OOMKilled") and is_early else "time"
    last_exit = state.last_exit
    if state.state != "stopped" or last_exit is None:
        return None
    if last_exit.killed:
        return "time"
    return "memory" if last_exit.oom and last_exit.at >= began_at else None
