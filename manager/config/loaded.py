"""Hold the result of loading config/, as plain data."""

import re

from manager.config.spec import InstanceSpec
from manager.errors import Problem
from manager.typed import Any, NamedTuple
from manager.util.late_pattern import late_pattern

RESEMBLING = late_pattern(r"\.(json(\.txt)?|jsonc|json5)\s*$", re.IGNORECASE)
"""How a name ends that may be meant for a config's. Windows hides `.txt`, which its editor adds."""


def is_config(name: str) -> bool:
    """Return whether a file of this name in config/active is a config.

    Names that begin with a dot are those of editors and file systems: `.#bp_sol_01.json`, `._bp_sol_01.json`.
    """
    return name.endswith(".json") and not name.startswith(".")


def resembles_config(name: str) -> bool:
    """Return whether a user may take a file of this name for a config."""
    return name.endswith(".json") or RESEMBLING.search(name) is not None


def config_name(name: str) -> str:
    """Return the name by which such a file would be loaded."""
    return f"{RESEMBLING.sub('', name)}.json"


class LoadedFile(NamedTuple):
    """Hold one config file's spec, or the problems that prevent one.

    `described`: the config as it may be shown, credentials only as `${NAME}`. `refusals`: what it may not
    hand over to its bot, so that no container is created from it. `is_constant`: whether the file means the
    same regardless of the variables. `config_hash`: None where the file names no port, because the port is
    hashed too. `elsewhere`: the other machine that the config belongs to, by its `host`.
    """

    file: str
    spec: InstanceSpec | None = None
    described: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    refusals: tuple[Problem, ...] = ()
    is_constant: bool = True
    config_hash: str | None = None
    elsewhere: str = ""

    @property
    def own_spec(self) -> InstanceSpec | None:
        """Return the spec, if there is one and it belongs to this machine."""
        return None if self.elsewhere else self.spec


class LoadedConfigs(NamedTuple):
    """Hold all config files of a fleet, sorted by name."""

    files: tuple[LoadedFile, ...] = ()
    conflicts: tuple[Problem, ...] = ()
    ignored: tuple[Problem, ...] = ()
    """The files whose names resemble a config's."""

    @property
    def specs(self) -> tuple[InstanceSpec, ...]:
        """Return this machine's valid specs; two of them may still conflict."""
        return tuple(spec for loaded in self.files if (spec := loaded.own_spec) is not None)

    @property
    def elsewhere(self) -> dict[str, LoadedFile]:
        """Map instance to config, for every config of another machine that has no namesake here."""
        own = {spec.id for spec in self.specs}
        return {
            loaded.spec.id: loaded
            for loaded in self.files
            if loaded.elsewhere and loaded.spec is not None and loaded.spec.id not in own
        }

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return everything that prevents the fleet as a whole from starting."""
        return (*(problem for loaded in self.files for problem in loaded.problems), *self.conflicts)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return what is unusual but allowed."""
        return (*(warning for loaded in self.files for warning in loaded.warnings), *self.ignored)

    @property
    def refusals(self) -> dict[str, tuple[Problem, ...]]:
        """Map instance to what its config may not hand over, for every config that does."""
        return {
            spec.id: loaded.refusals
            for loaded in self.files
            if (spec := loaded.own_spec) is not None and loaded.refusals
        }

    @property
    def config_hashes(self) -> dict[str, str]:
        """Map instance to config hash, for every config that names its port."""
        return {
            spec.id: loaded.config_hash
            for loaded in self.files
            if (spec := loaded.own_spec) is not None and loaded.config_hash is not None
        }

    def described(self, instance: str) -> dict[str, Any]:
        """Return an instance's config as it may be shown; empty for an instance without a config."""
        for loaded in self.files:
            if (spec := loaded.own_spec) is not None and spec.id == instance:
                return loaded.described or {}
        return {}

    @property
    def broken_files(self) -> frozenset[str]:
        """Return the files without a valid spec. A container that names one of them is not an orphan."""
        return frozenset(loaded.file for loaded in self.files if loaded.spec is None)

    @property
    def kept_files(self) -> frozenset[str]:
        """Return the files of which a container is no orphan although it has no spec: broken, or pinned
        elsewhere.
        """
        return self.broken_files | {loaded.file for loaded in self.files if loaded.elsewhere}
