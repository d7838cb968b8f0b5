"""Have a command settle the rules of `[container] egress`; decide whether it goes on where it cannot."""

from __future__ import annotations

from collections.abc import Callable

from manager.config.fleet import Fleet
from manager.engine.client import Engine
from manager.errors import EngineUnreachable, ManagerError
from manager.fleet.project import Project
from manager.i18n import Text


def concerns(fleet: Fleet) -> bool:
    """Return whether this fleet has, or had, rules of its own."""
    return fleet.egress is not False or fleet.egress_file.exists()


class Limiter:
    """Settle the rules for one command, as often as it is called.

    A command that is not strict goes on with a warning: it starts what ran, rules or not, since a bot that is
    down cannot manage its orders. So does every command where `egress` is off.
    """

    def __init__(
        self, engine: Engine, project: Project, warn: Callable[[Text], object], *, is_strict: bool
    ) -> None:
        self._engine, self._project, self._warn = engine, project, warn
        self.is_strict = is_strict and project.fleet.egress is not False
        self._told: set[str] = set()

    def __call__(self) -> None:
        """Settle them. Raises EngineUnreachable, and if this is strict any other ManagerError."""
        if not concerns(self._project.fleet):
            return
        from manager.ops.egress import egress

        try:
            egress.settle(self._engine, self._project)
        except EngineUnreachable:
            raise
        except ManagerError as error:
            if self.is_strict:
                raise
            if str(error) not in self._told:
                self._told.add(str(error))
                self._warn(error.text)
