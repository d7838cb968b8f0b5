"""Have the records of bots that were killed settled, so that others on their account can be closed.

A bot that was killed has not said what it holds, and beside it nothing on its account can be closed: of two
that were killed together, neither could be before each had run again. A program of its image
(docker/README.md) asks the exchange what became of its orders, trades nothing, and says what its trades make.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import ManagerError
from manager.fleet import bot_report, closed_report, supervisor_state
from manager.fleet.bot_report import Position
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text, quoted
from manager.ops.exchange import account_parts, oneoff
from manager.util.threads import TaskGroup

PROGRAM_KNOWS_NO_RECORD = 2
"""The exit code of an earlier image's program."""


def settle(
    snapshot: FleetSnapshot, containers: Iterable[Container], engine: Engine, within_s: int, at_once: int
) -> Mapping[str, Text]:
    """Keep what those hold that trade on these containers' accounts and have not said it.

    Return what keeps some from being known, by instance.
    """
    others = {
        other for instance_id in containers for other in account_parts.on_the_account(snapshot, instance_id)
    }
    to_ask = [
        container
        for other in sorted(others)
        if not account_parts.is_known(snapshot, other) and (container := _who_can_be_asked(snapshot, other))
    ]
    tasks = [partial(_settle, snapshot, container, engine, within_s) for container in to_ask]
    return {instance: why for instance, why in TaskGroup(tasks, at_once) if why is not None}


def _who_can_be_asked(snapshot: FleetSnapshot, instance: str) -> Container | None:
    """Return its container, if it has a program for this and nobody starts its bot meanwhile."""
    container = snapshot.observed.containers.get(instance)
    state_dir = snapshot.project.fleet.instance_state_dir(instance)
    if container is None or not container.labels.get(labels.CLOSE_POSITION):
        return None
    is_down = snapshot.plan_input.is_stopped_by_wish(instance) and not supervisor_state.has_bot(state_dir)
    return container if is_down else None


def _settle(
    snapshot: FleetSnapshot, container: Container, engine: Engine, within_s: int
) -> tuple[str, Text | None]:
    fleet, instance = snapshot.project.fleet, container.instance
    program = f"{container.labels[labels.CLOSE_POSITION]} record"
    try:
        ended = oneoff.run(container, fleet, engine, program, "close", within_s)
    except ManagerError as error:
        return instance, Text("{why}", why=error)
    if ended.code == PROGRAM_KNOWS_NO_RECORD:
        return instance, None
    if ended.code != 0:
        return instance, quoted(ended.message) if ended.message else None
    position = _position(ended.answer)
    if position is not None:
        closed_report.keep_answer(fleet.instance_state_dir(instance), 0, position)
    return instance, None


def _position(answer: str) -> Position | None:
    """Return what the program says; it comes from the bot's image."""
    try:
        record: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return bot_report.position_at_exchange(record) if isinstance(record, dict) else None
