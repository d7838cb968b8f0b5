"""What the files of config/ say, as plain data: the outcome of loading them."""

from __future__ import annotations

from typing import Any, NamedTuple

from manager.config.spec import InstanceSpec
from manager.errors import Problem


class LoadedFile(NamedTuple):
    """One config file: a spec, or the problems that keep it from being one.

    `described`: the config as it may be shown. `is_constant`: whether it means the same whatever the variables are.
    `config_hash`: the spec's, where the file names the port; another port makes another container.
    """

    file: str
    spec: InstanceSpec | None = None
    described: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    is_constant: bool = True
    config_hash: str | None = None


class Loaded(NamedTuple):
    """All config files of a fleet, in the order of their names."""

    files: tuple[LoadedFile, ...] = ()
    conflicts: tuple[Problem, ...] = ()

    @property
    def specs(self) -> tuple[InstanceSpec, ...]:
        """The usable specs; two of them may still be in conflict."""
        return tuple(loaded.spec for loaded in self.files if loaded.spec is not None)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that keeps the fleet as a whole from starting."""
        return (*(problem for loaded in self.files for problem in loaded.problems), *self.conflicts)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd but allowed."""
        return tuple(warning for loaded in self.files for warning in loaded.warnings)

    @property
    def config_hashes(self) -> dict[str, str]:
        """Instance → its config's hash, where that is known before a port is found for it."""
        return {
            loaded.spec.id: loaded.config_hash
            for loaded in self.files
            if loaded.spec is not None and loaded.config_hash is not None
        }

    def described(self, instance: str) -> dict[str, Any]:
        """The config of an instance as it may be shown; empty for one without a config."""
        for loaded in self.files:
            if loaded.spec is not None and loaded.spec.id == instance:
                return loaded.described or {}
        return {}

    @property
    def broken_files(self) -> frozenset[str]:
        """Files whose instance is unknown: a container that names one of them is no orphan."""
        return frozenset(loaded.file for loaded in self.files if loaded.spec is None)
