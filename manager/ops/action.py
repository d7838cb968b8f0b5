"""What to do and what became of it, as data: one action on one instance, its outcome, and the command that plans them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, TypeVar

from manager.errors import ManagerError
from manager.fleet.halt_mark import HaltMark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.state_file import Wish
from manager.fleet.supervisor_state import Position
from manager.i18n import Text

Kind = Literal["create", "recreate", "rollback", "start", "restart", "stop", "remove", "leave"]


class Action(NamedTuple):
    """One thing to do to one instance. `leave` does nothing and is said, so that nobody is surprised.

    `first_wave`: its container must be gone before others start, because they get its port.
    `is_fresh`: a person's word, which clears `failed` and `completed`; without it these come back as they were.
    `as_it_was`: its config was refused, so that its env file stays the one of the config that it runs.
    `stays_down`: a container is made and not started. `keeps_image`: it is made of the image that it had.
    """

    kind: Kind
    instance: str
    cause: Text
    first_wave: bool = False
    is_fresh: bool = True
    as_it_was: bool = False
    stays_down: bool = False
    keeps_image: bool = False

    @property
    def starts(self) -> bool:
        """Whether a bot runs after it that did not run before, or ran as another process."""
        is_start = self.kind in {"create", "recreate", "rollback", "start", "restart"}
        return is_start and not self.stays_down

    @property
    def keeps_container(self) -> bool:
        """Whether the container is the same one afterwards."""
        return self.kind in {"start", "stop", "restart", "leave"}

    def __str__(self) -> str:
        return f"{self.kind} {self.instance}: {self.cause}"


AnyAction = TypeVar("AnyAction")


class Outcome(NamedTuple, Generic[AnyAction]):
    """What became of one action: of a container's, or of an import's or a restore's.

    `was_killed`: its bot did not end in time. `open_orders_left`: the ended bot's own report, None when it gave none.
    `position`: what it held by its last report.
    """

    action: AnyAction
    seconds: float = 0.0
    error: ManagerError | None = None
    was_killed: bool = False
    open_orders_left: int | None = None
    position: Position | None = None


def has_started(outcome: Outcome[Action]) -> bool:
    """Return whether a bot was started."""
    return outcome.error is None and outcome.action.starts


Planner = Callable[[FleetSnapshot, list[str] | None], list[Action]]


class Change(NamedTuple):
    """One changing command as a value: what it concerns, how it plans, and what wish it leaves behind.

    `planner` gets the snapshot and the named instances, None for the whole fleet.
    """

    command: str
    planner: Planner
    selection: Selection = EVERYTHING
    wish: Wish | None = None
    needs_sound_configs: bool = True
    lifts_fleet_mark: HaltMark | None = None
    """The mark for instances that come later, where this command ends the halt of the whole fleet."""
