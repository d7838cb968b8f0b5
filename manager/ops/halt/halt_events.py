"""Report how a halt goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from manager.config.fleet import Fleet
from manager.engine.containers import Container
from manager.ops.actions.action import Action, Outcome
from manager.ops.actions.answer import Answer
from manager.ops.actions.events import Warned
from manager.ops.halt.stop_for_good import Marked
from manager.typed import NamedTuple


class ContainerStopped(NamedTuple):
    """Report the result of stopping a container. `fleet` names it."""

    container: Container
    outcome: Outcome[Action]
    fleet: Fleet


class ExchangeAnswered(NamedTuple):
    """Report an instance's open orders at the exchange."""

    container: Container
    answer: Answer


class MayTrade(NamedTuple):
    """Report the bots that hold their locks and may trade while the engine cannot be reached."""

    instances: Sequence[str]


class FoundMark(NamedTuple):
    """Report the bots that their supervisors have stopped, while the engine cannot be reached."""

    instances: Sequence[str]


class MarksMade(NamedTuple):
    """Report which instances are marked, before anything is stopped: an interrupted halt leaves that."""

    fleet: Fleet
    marked: Marked


HaltEvent = Warned | MarksMade | ContainerStopped | ExchangeAnswered | MayTrade | FoundMark
OnHaltEvent = Callable[[HaltEvent], object]
