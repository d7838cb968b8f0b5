"""Report how a roll-out goes on, beside the events that every command reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.actions.events import Event
from manager.typed import NamedTuple


class BatchStarted(NamedTuple):
    """Report that a batch has started. Number 1 is the canary."""

    number: int
    batches: int
    instances: Sequence[str]


class Stopping(NamedTuple):
    """Report that a bot is being stopped, which may take a minute."""

    action: Action


class HealthyAfter(NamedTuple):
    """Report that an upgraded instance is healthy, and is still watched."""

    instance: str
    seconds: float


class Ready(NamedTuple):
    """Report that an upgraded instance has been healthy for long enough."""

    instance: str


class WaitsFor(NamedTuple):
    """Report that an upgraded instance runs, but cannot trade. `most`: the longest wait, in seconds."""

    instance: str
    why: Text
    most: float


class Starting(NamedTuple):
    """Report that an upgraded instance is waited for past the time limit: it says that it is starting.

    `most`: the longest start, in seconds.
    """

    instance: str
    why: Text
    most: float


OwnEvent = BatchStarted | Stopping | HealthyAfter | Ready | WaitsFor | Starting
RolloutEvent = Event | OwnEvent
OnRolloutEvent = Callable[[RolloutEvent], object]
