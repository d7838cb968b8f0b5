"""One instance as it is known: its config, its container, its supervisor's word and a person's wish, put together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from manager.config.spec import InstanceSpec
from manager.engine import labels
from manager.engine.containers import Container
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.fleet.supervisor_state import SupervisorState

if TYPE_CHECKING:
    from manager.fleet.bot_report import KeptReport


class Instance(NamedTuple):
    """Everything known of one instance at one moment."""

    id: str
    verdict: Status
    drift: tuple[str, ...]
    spec: InstanceSpec | None
    container: Container | None
    supervision: SupervisorState | None
    remembered: InstanceState
    is_rolled_back: bool = False
    """Whether its config and image were tried and taken back."""
    report: KeptReport | None = None
    """What its bot last reported; read only for those who show it."""

    @property
    def is_bot_up(self) -> bool:
        """Whether its bot's process is meant to exist now."""
        container, said = self.container, self.supervision
        return bool(
            container and container.is_up and said and said.container == container.id and said.bot_pid
        )

    @property
    def has_fallen(self) -> bool:
        """Whether its container has ended in no good order, and no person wants that: killed, or gone with its engine."""
        container, asked = self.container, self.remembered
        is_ended = container is not None and container.engine_state == "exited" and bool(container.exit_code)
        return is_ended and asked.wish == "run" and asked.halted is None

    @property
    def mode(self) -> str | None:
        """paper or live."""
        return self._fact(labels.MODE, self.spec.mode if self.spec else None)

    @property
    def exchange(self) -> str | None:
        """Where its bot trades."""
        return self._fact(labels.EXCHANGE, self.spec.exchange if self.spec else None)

    @property
    def symbol(self) -> str | None:
        """What its bot trades."""
        return self._fact(labels.SYMBOL, self.spec.symbol if self.spec else None)

    @property
    def strategy(self) -> str | None:
        """How its bot trades."""
        return self._fact(labels.STRATEGY, self.spec.strategy if self.spec else None)

    @property
    def log_dir(self) -> str:
        """Its log folder, below the data folder."""
        return self._fact(labels.LOG_DIR, self.spec.log_dir if self.spec else None) or f"logs/{self.id}"

    def _fact(self, label: str, configured: str | None) -> str | None:
        """What its container was made with, else what its config asks for."""
        made_with = self.container.labels.get(label) if self.container else None
        return made_with or configured

    @property
    def web_port(self) -> int | None:
        """The port its container publishes, else the one its config asks for."""
        if self.container is not None:
            return self.container.web_port
        return self.spec.web_port if self.spec else None
