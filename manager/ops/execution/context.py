"""Hold what the executor works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.fleet import halt_mark, state_file, tombstone
from manager.fleet.state_file import CalledOffBy
from manager.fleet.upgrade_records import UpgradeRecord
from manager.i18n import Text, mark
from manager.ops.actions.answer import Answer
from manager.ops.execution.port_choice import PortChoice
from manager.ops.execution.stop_turns import StopTurns
from manager.typed import NamedTuple
from manager.util.interrupts import Ending

INTERRUPTED = Text("interrupted")
IN_THE_MIDDLE = Text("interrupted in the middle: whether its bot runs is unknown")
CALLED_OFF: Mapping[halt_mark.By, str] = {
    "halt": mark("it is halted; `manager resume` starts what ran"),
    "stop": mark("it was stopped meanwhile"),
    "down": mark("it was removed meanwhile"),
    "moved": mark("it was moved to another machine; only another move brings it back"),
}
"""By the origin of a halt mark: why an instance is not started."""


class ExecutionContext(NamedTuple):
    """Hold what the executor works with."""

    engine: Engine
    fleet: Fleet
    specs: Mapping[str, InstanceSpec]
    containers: Mapping[str, Container]
    env_values: Mapping[str, Mapping[str, str]]
    place: Callable[[str], container_config.HostContext]
    called_off: Callable[[], Text | None]
    """Return why nothing may be started any more: a forced stop by another command."""
    steps: Mapping[str, UpgradeRecord] = MappingProxyType({})
    """The records that `rollback` restores."""
    await_network: Callable[[], None] = lambda: None
    """Wait for the fleet's network: containers can be created before it exists, but not started."""
    called_off_since: Mapping[str, CalledOffBy] = MappingProxyType({})
    """Instances that were stopped or removed since this command was given: it does not start them."""
    give_turn: Callable[[str], None] = lambda _instance: None
    """Tell a bot, just before its container is started, when its start is due."""
    port_choice: PortChoice | None = None
    """Chooses another web port where the chosen one was taken meanwhile; None where all ports are fixed."""
    turns: StopTurns = StopTurns()
    """By these the stops of live bots are spread; new ones for each run."""
    has_unknown_rest: Callable[[Container], bool] = lambda _container: False
    """Return whether only the exchange can say what an instance that is down has left there."""
    ask: Callable[[Container], Answer] = lambda _container: Answer(None)
    """Ask the exchange for that, from an instance's container."""
    ending: Ending | None = None
    """Hears that somebody ends the command."""
    is_bound_to_finish: bool = False
    """Whether it is carried out all the same, because something of it has been done."""

    def interrupted(self) -> Text | None:
        """Return why nothing more may be begun: Ctrl-C, or SIGTERM."""
        is_ending = self.ending is not None and self.ending.number and not self.is_bound_to_finish
        return INTERRUPTED if is_ending else None

    def why_not_started(self, instance: str) -> Text | None:
        """Return what keeps an instance from being started: a later stop, removal or halt, or a move."""
        if by := self.called_off_since.get(instance):
            return self._called_off(instance, by)
        if stone := tombstone.find_with_record(self.fleet, instance):
            return stone.why
        halt = halt_mark.find(self.fleet, instance)
        return None if halt is None else self._called_off(instance, halt.by)

    def _called_off(self, instance: str, by: halt_mark.By) -> Text:
        """Return who called it off; of a halt also why, where no person did it."""
        saved = state_file.load(self.fleet.state_file, self.fleet.name).of(instance)
        if by != "halt" or saved.halted_because is None:
            return Text(CALLED_OFF[by])
        from manager.fleet import causes  # with decimal, which a command that starts bots does without

        return Text("{who}; `manager resume` starts what ran", who=causes.halted_by(saved))

    def finishing(self) -> ExecutionContext:
        """Return the context of what has been done in part: it is finished, whoever ends the command."""
        return self._replace(is_bound_to_finish=True)
