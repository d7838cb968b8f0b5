"""What a changing command tells while it is under way. Printed, or shown on a page, by whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from manager.ops.action import Action, Outcome


class Warned(NamedTuple):
    """Something is odd, and keeps nothing from being done."""

    message: object


class LeftAlone(NamedTuple):
    """An instance stays as it is, for the cause that the action names."""

    action: Action


class ActionsStarted(NamedTuple):
    """These actions are under way; `ActionsEnded` follows whatever happens."""

    actions: Sequence[Action]


class ActionDone(NamedTuple):
    """An action has ended, well or not."""

    outcome: Outcome[Action]


class ActionsEnded(NamedTuple):
    """Nothing is under way any more."""


class Healthy(NamedTuple):
    """An instance that was waited for is healthy. `url`: its web page."""

    instance: str
    url: str


Event = Warned | LeftAlone | ActionsStarted | ActionDone | ActionsEnded | Healthy
OnEvent = Callable[[Event], object]


def ignore(_event: Event) -> None:
    """Take no notice: for callers that need only the result."""
