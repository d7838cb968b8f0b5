"""Do ahead what a command needs later, in the moments in which it waits for the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.fleet import instances_json
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session
from manager.ops.actions.action import Action
from manager.typed import Any

ENGINE_IS_ASKED_WITHIN_S = 0.05
"""After that the first actions wait for the engine's answers: nothing that is done then holds them up."""


def description(session: Session, fleet: Fleet) -> Callable[[], Mapping[str, Any]]:
    """Ask the engine what it is, which takes it longer than its list of containers, while other things are
    done: what is wanted is recorded, and modules are loaded. Returns what waits for the answer.
    """
    from manager.util.threads import Deferred

    return Deferred(session.engine(fleet.parallelism).info).result


def modules_and_description(session: Session, fleet: Fleet) -> Callable[[], Mapping[str, Any]]:
    """Load what carries a plan out, and do as `description` does, while the fleet is looked at."""
    from manager.util.threads import Deferred

    return Deferred(partial(_loaded_and_described, session.engine(fleet.parallelism))).result


def _loaded_and_described(engine: Engine) -> Mapping[str, Any]:
    from manager.ops.checks import old_daemon_check  # noqa: F401
    from manager.ops.execution import execute, outcome_notes, prepare  # noqa: F401

    return engine.info()


def find_pids(snapshot: FleetSnapshot, actions: Collection[Action]) -> None:
    """Find the pids of the bots that run, for the export at the end, while the engine is at work on others.

    host.py remembers them: then only those of the bots that are started have to be looked for. And what
    waits for these is loaded.
    """
    if not any(action.starts for action in actions):
        return
    from manager.util.threads import Deferred

    Deferred(partial(_find_pids, snapshot))


def _find_pids(snapshot: FleetSnapshot) -> None:
    time.sleep(ENGINE_IS_ASKED_WITHIN_S)
    from manager.ops.execution import wait  # noqa: F401

    instances_json.find_pids(snapshot)
