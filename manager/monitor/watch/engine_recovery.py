"""What to start again after the engine's death. Pure.

The trap: when dockerd alone is killed, the next one stops what still runs and marks it as stopped by hand, so that its restart
policy leaves it down. Its events and its list then look exactly as after a person's `docker stop`. So the rule is about time,
and every doubt leaves the container alone (and sends an alert). Put back is only what

1. was up when the connection to the engine was lost, and nobody had begun to stop it;
2. is down in the first list that an engine gives afterwards, and that engine remembers nothing from before the loss: it is a new
   process. One that remembers was only out of sight, or stood still, and whatever is down there was stopped by somebody;
3. ended after the loss and before that first list: nobody can ask anything of an engine that does not answer;
4. is not stopped by `manager stop`, and the planner of `manager up` would start it as it is.

A watch that was itself started after the engine came back has seen none of this, and starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from manager.engine.containers import Container

ENDING_EVENTS = frozenset({"kill", "stop", "die", "destroy", "pause"})
CLOCK_SLACK_S = 0.5
"""The engine's stamps and our readings are of one clock; what lies between is scheduling."""


class EngineOutage(NamedTuple):
    """The moment the engine was lost (epoch seconds), and the containers that were up and wanted then: id → instance."""

    at: float
    up: Mapping[str, str]


def loss(at: float, containers: Iterable[Container], being_stopped: Iterable[str]) -> EngineOutage:
    """`being_stopped`: ids of containers that somebody had begun to stop, by the engine's events."""
    stopping = set(being_stopped)
    return EngineOutage(
        at, {each.id: each.instance for each in containers if each.is_up and each.id not in stopping}
    )


def candidates(lost: EngineOutage, containers: Iterable[Container]) -> list[Container]:
    """What was up at the loss and is down in the first list afterwards."""
    return [each for each in containers if each.id in lost.up and each.engine_state == "exited"]


def ended_unasked(inspected: Mapping[str, Any], lost: EngineOutage, first_answer: float) -> bool:
    """Whether a container, as inspected, ended while there was no engine that anybody could have asked to stop it."""
    try:
        ended = datetime.fromisoformat(str(inspected["State"]["FinishedAt"])).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return lost.at - CLOCK_SLACK_S <= ended <= first_answer
