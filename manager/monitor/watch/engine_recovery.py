"""Decide what to start again after an engine crash. Pure.

The problem: when only dockerd is killed, the next one stops what still runs and marks it as stopped by hand,
so that its restart policy leaves it down. Its events and its list then look exactly as after a user's `docker
stop`. So the rule is about time, and in doubt a container is left alone (and an alert is sent). Only that is
started which

1. was up when the connection to the engine was lost, and was not being stopped;
2. is down in the first list of an engine afterwards, and that engine knows no event from before the loss: it
   is a
   new process. One that does was only unreachable, or hung, and whatever is down there was stopped on
   purpose;
3. ended after the loss and before that first list: an engine that does not answer cannot have been asked to
   stop it;
4. was not stopped by `manager stop`, and would be started unchanged by the planner of `manager up`.

A watch that was itself started after the engine came back has observed none of this, and starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from manager.engine.containers import Container
from manager.typed import NamedTuple

ENDING_EVENTS = frozenset({"kill", "stop", "die", "destroy", "pause"})
CLOCK_SLACK_S = 0.5
"""The engine's times and ours are from the same clock; the tolerance is for scheduling."""


class EngineOutage(NamedTuple):
    """Hold when the engine was lost (Unix time), and the containers that were up and wanted: id →
    instance.
    """

    at: float
    up: Mapping[str, str]


def outage_at(at: float, containers: Iterable[Container], being_stopped: Iterable[str]) -> EngineOutage:
    """Return the outage.

    `being_stopped`: ids of containers that were being stopped, by the engine's events.
    """
    stopping = set(being_stopped)
    return EngineOutage(
        at,
        {
            container.id: container.instance
            for container in containers
            if container.is_up and container.id not in stopping
        },
    )


def candidates(outage: EngineOutage, containers: Iterable[Container]) -> list[Container]:
    """Return what was up at the loss and is down in the first list afterwards."""
    return [
        container
        for container in containers
        if container.id in outage.up and container.engine_state == "exited"
    ]


def ended_unasked(inspected: Mapping[str, Any], outage: EngineOutage, first_answer: float) -> bool:
    """Return whether an inspected container ended while no engine could have been asked to stop it."""
    try:
        ended = datetime.fromisoformat(str(inspected["State"]["FinishedAt"])).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return outage.at - CLOCK_SLACK_S <= ended <= first_answer
