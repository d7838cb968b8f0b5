"""Define the events that a changing command emits while it runs. The caller prints or displays them.

Plain classes, because creating a named tuple class takes a third of a millisecond, even in an `up` without
actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.i18n import Text
from manager.ops.actions.action import Action, Outcome


class _Event:
    """Compare events by type and content."""

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
    """Report something unusual that does not prevent the command."""

    __slots__ = __match_args__ = ("message",)

    def __init__(self, message: object) -> None:
        self.message = message


class LeftAlone(_Event):
    """Report an instance that is left as it is, with the cause in the action."""

    __slots__ = __match_args__ = ("action",)

    def __init__(self, action: Action) -> None:
        self.action = action


class ActionsStarted(_Event):
    """Report that these actions have started; `ActionsEnded` always follows."""

    __slots__ = __match_args__ = ("actions",)

    def __init__(self, actions: Sequence[Action]) -> None:
        self.actions = actions


class ActionDone(_Event):
    """Report that an action has ended, successfully or not."""

    __slots__ = __match_args__ = ("outcome",)

    def __init__(self, outcome: Outcome[Action]) -> None:
        self.outcome = outcome


class ActionsEnded(_Event):
    """Report that no action is in progress any more."""

    __slots__ = ()


class Healthy(_Event):
    """Report that an instance is healthy. `url`: its web page, empty if it has none.

    `trouble`: why its bot cannot trade now, although nothing is wrong with it; None if it can.
    """

    __slots__ = __match_args__ = ("instance", "url", "trouble")

    def __init__(self, instance: str, url: str, trouble: Text | None = None) -> None:
        self.instance, self.url, self.trouble = instance, url, trouble


Event = Warned | LeftAlone | ActionsStarted | ActionDone | ActionsEnded | Healthy
OnEvent = Callable[[Event], object]


def ignore(_event: Event) -> None:
    """Ignore the event: for callers that need only the result."""
