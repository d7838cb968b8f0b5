"""Define actions, their outcomes, and changing commands as data. Pure."""

from collections.abc import Callable

from manager.errors import ManagerError
from manager.fleet.bot_report import Position
from manager.fleet.halt_mark import HaltMark
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import EVERYTHING, Selection
from manager.fleet.state_file import Wish
from manager.i18n import Text
from manager.ops.actions.answer import Answer
from manager.typed import Generic, Literal, NamedTuple, TypeVar

Kind = Literal["create", "recreate", "rollback", "start", "restart", "update", "stop", "remove", "leave"]


class Action(NamedTuple):
    """Describe one change to one instance, and its cause. `leave` changes nothing and is reported.

    `update` puts back limits and restart policy; the bot goes on.

    `first_wave`: stop its container before other actions start, because they need its port.
    `is_fresh`: requested by a user; clears `failed` and `completed`. Otherwise these states are kept.
    `as_it_was`: its config was rejected or is refused; keep the env file of the config that it runs.
    `is_for_bot`: false where a bot that has ended stays so, and only its container is started.
    `is_refused`: left, although it was asked for, because its config is refused.
    `is_moved`: left, although it was asked for, because it is on another machine.
    `stays_down`: create the container without starting it. `keeps_image`: create it from its present image.
    """

    kind: Kind
    instance: str
    cause: Text
    first_wave: bool = False
    is_fresh: bool = True
    as_it_was: bool = False
    stays_down: bool = False
    keeps_image: bool = False
    is_refused: bool = False
    is_for_bot: bool = True
    is_moved: bool = False

    @property
    def starts(self) -> bool:
        """Return whether a bot process is started by it."""
        is_start = self.kind in {"create", "recreate", "rollback", "start", "restart"}
        return is_start and not self.stays_down

    @property
    def keeps_container(self) -> bool:
        """Return whether the container stays the same."""
        return self.kind in {"start", "stop", "restart", "update", "leave"}

    def __str__(self) -> str:
        return f"{self.kind} {self.instance}: {self.cause}"


AnyAction = TypeVar("AnyAction")


class Outcome(NamedTuple, Generic[AnyAction]):
    """Hold the result of one action: on a container, or of an import or a restore.

    `was_killed`: the bot did not stop in time, or `exceeded_memory` while it stopped. `open_orders_left`: as
    the exchange answered, else as the bot reported when it stopped; None if neither did. `position`:
    likewise, from its last report. `answer`: the exchange's, None if it was not asked. `port_notice`: that
    another program took its web port, and which one it was given.
    """

    action: AnyAction
    seconds: float = 0.0
    error: ManagerError | None = None
    was_killed: bool = False
    open_orders_left: int | None = None
    position: Position | None = None
    answer: Answer | None = None
    port_notice: Text | None = None
    exceeded_memory: bool = False

    @property
    def is_rest_unknown(self) -> bool:
        """Return whether the exchange was asked for the orders that are left, and nothing tells of them."""
        return self.answer is not None and self.answer.can_be_asked and self.open_orders_left is None


def has_started(outcome: Outcome[Action]) -> bool:
    """Return whether a bot was started."""
    return outcome.error is None and outcome.action.starts and outcome.action.is_for_bot


Planner = Callable[[FleetSnapshot, list[str] | None], list[Action]]


class Change(NamedTuple):
    """Describe a changing command: its selection, its planner, and the desired state that it records.

    `planner` gets the snapshot and the named instances, None for the whole fleet.
    """

    command: str
    planner: Planner
    selection: Selection = EVERYTHING
    wish: Wish | None = None
    needs_sound_configs: bool = True
    chooses_itself: bool = False
    """Whether the selection is what the command found to do, and not what a user named."""
    lifts_fleet_mark: HaltMark | None = None
    """The fleet's halt mark, if this command ends the halt of the whole fleet."""
    dead_hosts: tuple[str, ...] = ()
    """Other machines on which nothing trades any more, as a person has typed."""
    because: Text | None = None
    """Who stops, other than a person, and why."""
