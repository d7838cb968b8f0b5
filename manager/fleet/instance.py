"""Combine what is known of one instance: config, container, supervisor's state and desired state. Pure."""

from manager.config.spec import InstanceSpec
from manager.engine import labels
from manager.engine.containers import Container
from manager.fleet.bot_report import KeptReport
from manager.fleet.listing import log_dir_of
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.fleet.supervisor_state import SupervisorState
from manager.fleet.tombstone import Tombstone
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable


class Instance(NamedTuple):
    """Hold everything known of one instance at one moment."""

    id: str
    status: Status
    drift: tuple[str, ...]
    spec: InstanceSpec | None
    container: Container | None
    supervisor: SupervisorState | None
    saved: InstanceState
    is_rolled_back: bool = False
    """Whether its config and image were tried and rolled back."""
    report: KeptReport | None = None
    """Its bot's last report; read only by commands that show it."""
    tombstone: Tombstone | None = None
    """Where it went, if it was moved to another machine."""
    is_moved: bool = False
    """Whether its container mounts the place where this folder was before."""
    mode_of_files: str | None = None
    """Its mode, where neither a container nor a config is left to tell it."""

    @property
    def is_bot_up(self) -> bool:
        """Return whether its bot's process should exist now."""
        container, supervisor = self.container, self.supervisor
        return bool(
            container
            and container.is_up
            and supervisor
            and supervisor.container == container.id
            and supervisor.bot_pid
        )

    @property
    def moved_to(self) -> str | None:
        """Return the machine to which it was moved, with its position and its database; None for none."""
        return None if self.tombstone is None or self.tombstone.is_unfinished else self.tombstone.to

    @property
    def exited_unexpectedly(self) -> bool:
        """Return whether its container exited with an error although it should run: killed, or stopped with
        its engine.
        """
        container, saved = self.container, self.saved
        is_ended = container is not None and container.engine_state == "exited" and bool(container.exit_code)
        return is_ended and saved.wish == "run" and saved.halted is None

    @property
    def mode(self) -> str | None:
        """Return paper or live."""
        return self._fact(labels.MODE, self.spec.mode if self.spec else None) or self.mode_of_files

    @property
    def exchange(self) -> str | None:
        """Return its exchange."""
        return self._word(labels.EXCHANGE, self.spec.exchange if self.spec else None)

    @property
    def symbol(self) -> str | None:
        """Return its market."""
        return self._word(labels.SYMBOL, self.spec.symbol if self.spec else None)

    @property
    def strategy(self) -> str | None:
        """Return its strategy."""
        return self._word(labels.STRATEGY, self.spec.strategy if self.spec else None)

    def _word(self, label: str, configured: str | None) -> str | None:
        """Return a fact as it may be shown."""
        fact = self._fact(label, configured)
        return fact and replace_unprintable(fact)

    @property
    def log_dir(self) -> str:
        """Return its log folder, below the data folder."""
        return log_dir_of(self.id, self.container, self.spec)

    def _fact(self, label: str, configured: str | None) -> str | None:
        """Return what its container was made with, else what its config says."""
        made_with = self.container.labels.get(label) if self.container else None
        return made_with or configured

    @property
    def web_port(self) -> int | None:
        """Return the port that its container publishes, else the one in its config."""
        if self.container is not None:
            return self.container.web_port
        return self.spec.web_port if self.spec else None


def market_of(container: Container | None, view: Instance | None = None) -> tuple[str, str]:
    """Return exchange and symbol as they may be shown: by the container, else by the instance, else `?`."""
    exchange = (container and container.shown(labels.EXCHANGE)) or (view and view.exchange) or "?"
    return exchange, (container and container.shown(labels.SYMBOL)) or (view and view.symbol) or "?"
