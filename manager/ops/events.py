"""What a changing command tells while it is under way. Printed, or shown on a page, by whoever asked for it.

Plain classes: a named tuple is made in a third of a millisecond, which an `up` that has nothing to do would pay for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.ops.action import Action, Outcome


class _Event:
    """What all have in common: two of a kind with the same content are equal."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self.__match_args__
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(repr(getattr(self, name)) for name in self.__match_args__)})"
        )


class Warned(_Event):
    """Something is odd, and keeps nothing from being done."""

    __slots__ = __match_args__ = ("message",)

    def __init__(self, message: object) -> None:
        self.message = message


class LeftAlone(_Event):
    """An instance stays as it is, for the cause that the action names."""

    __slots__ = __match_args__ = ("action",)

    def __init__(self, action: Action) -> None:
        self.action = action


class ActionsStarted(_Event):
    """These actions are under way; `ActionsEnded` follows whatever happens."""

    __slots__ = __match_args__ = ("actions",)

    def __init__(self, actions: Sequence[Action]) -> None:
        self.actions = actions


class ActionDone(_Event):
    """An action has ended, well or not."""

    __slots__ = __match_args__ = ("outcome",)

    def __init__(self, outcome: Outcome[Action]) -> None:
        self.outcome = outcome


class ActionsEnded(_Event):
    """Nothing is under way any more."""

    __slots__ = ()


class Healthy(_Event):
    """An instance that was waited for is healthy. `url`: its web page, empty where it has none."""

    __slots__ = __match_args__ = ("instance", "url")

    def __init__(self, instance: str, url: str) -> None:
        self.instance, self.url = instance, url


Event = Warned | LeftAlone | ActionsStarted | ActionDone | ActionsEnded | Healthy
OnEvent = Callable[[Event], object]


def ignore(_event: Event) -> None:
    """Take no notice: for callers that need only the result."""
