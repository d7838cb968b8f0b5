"""Everything on disk that decides what the fleet should be: settings, configs, variables, memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from manager.config import bot_environment, cache
from manager.config.fleet import Fleet
from manager.config.loaded import LoadedConfigs
from manager.config.spec import InstanceSpec
from manager.config.variables import merge_environment, read_dotenv
from manager.engine import containers, labels
from manager.errors import ConfigError, Problem, UsageError
from manager.fleet import halt_mark, host, state_file
from manager.fleet.state_file import FleetState
from manager.i18n import Text


class Project(NamedTuple):
    """One project folder, read. `specs` have their ports; `variables` hold secrets and are never printed."""

    fleet: Fleet
    loaded: LoadedConfigs
    memory: FleetState
    variables: Mapping[str, str]
    specs: Mapping[str, InstanceSpec]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def with_known_ports(self, ports: Mapping[str, int]) -> Project:
        """The same project where a port that a container already has wins over one we would assign."""
        return self._replace(specs=_with_ports(self.loaded.specs, self.fleet, self.memory, ports))

    def require_sound(self) -> None:
        """Raises ConfigError with every problem: nothing starts while one file is wrong."""
        if self.problems:
            raise ConfigError(self.problems)

    def select(self, ids: Sequence[str], files: Sequence[str]) -> list[str] | None:
        """The instances that ids and `--config` files name, in order; None when nothing was named.

        Raises UsageError for a name that no config has, ConfigError for a file that cannot be loaded.
        """
        if not ids and not files:
            return None
        chosen = [*ids, *(self.instance_of(file) for file in files)]
        return list(dict.fromkeys(chosen))

    def instance_of(self, file: str) -> str:
        """The id of the instance whose config this file is."""
        try:
            path = Path(file).resolve()
            is_there = path.exists()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name too long, links in a circle
            raise ConfigError([Problem.at(file, "", "no such file")]) from error
        for loaded in self.loaded.files:
            if (self.fleet.project_dir / loaded.file).resolve() == path:
                if loaded.spec is None:
                    raise ConfigError(loaded.problems)
                return loaded.spec.id
        if not is_there:
            raise ConfigError([Problem.at(file, "", "no such file")])
        raise UsageError(
            "{file} is not in {folder}: copy it there first",
            file=file,
            folder=self.fleet.relative(self.fleet.config_dir),
        )


def find(start: Path) -> Path:
    """The nearest folder upwards that has a config/ folder. Raises ConfigError."""
    for folder in (start, *start.parents):
        if _is_project(folder):
            return folder
    raise ConfigError(
        [
            Problem.at(
                str(start),
                "",
                "there is no config/active here or above: `manager init` makes a fleet folder, --project-dir DIR names one",
            )
        ]
    )


def at(folder: Path) -> Path:
    """This folder, if it is a project's: a command must not make one where a name is mistyped. Raises ConfigError."""
    if not _is_project(folder):
        raise ConfigError([Problem.at(str(folder), "", "there is no config/active in it")])
    return folder


def _is_project(folder: Path) -> bool:
    return (folder / "config" / "active").is_dir() or (folder / "config" / "fleet.toml").is_file()


def read(project_dir: Path) -> Project:
    """Reads a project folder.

    Raises ConfigError only for what concerns the whole fleet; faults of single files are in `problems`.
    """
    fleet, remembered, variables, faults, loaded = _on_disk(project_dir.resolve())
    specs = _with_ports(loaded.specs, fleet, remembered, {})
    env_faults = [
        Problem.at(".env", str(Text("line {number}", number=number)) if number else "", "{why}", why=why)
        for number, why in faults
    ]
    problems = [
        *remembered.faults,
        *env_faults,
        *loaded.problems,
        *bot_environment.credential_problems(loaded.specs, fleet, variables),
    ]
    return Project(
        fleet=fleet,
        loaded=loaded,
        memory=halt_mark.overlaid(remembered, fleet, specs),
        variables=variables,
        specs=specs,
        problems=tuple(problems),
        warnings=(*loaded.warnings, *bot_environment.unset_variable_warnings(specs.values(), variables)),
    )


def by_containers(
    project_dir: Path, rows: Iterable[Mapping[str, Any]], problems: Sequence[Problem]
) -> Project | None:
    """A project whose settings cannot be read, as far as its containers tell: enough to stop them. None where they do not agree."""
    seen = containers.observe(rows, "")
    places = {
        (
            each.labels.get(labels.COMPOSE_PROJECT, ""),
            Path(each.data_source).parent.parent,
        )  # of DATA/database/ID
        for each in (*seen.containers.values(), *seen.strays)
        if each.data_source is not None
    }
    if len(places) != 1:
        return None
    ((name, data_dir),) = places
    fleet = Fleet(name, project_dir, data_dir)
    return Project(fleet, LoadedConfigs(), remembered(fleet), {}, {}, tuple(problems), ())


def remembered(fleet: Fleet, instances: Iterable[str] = ()) -> FleetState:
    """What is remembered now, with what the halt marks say of these and of all other known instances."""
    return halt_mark.overlaid(state_file.load(fleet.state_file, fleet.name), fleet, instances)


def _on_disk(
    project_dir: Path,
) -> tuple[Fleet, FleetState, dict[str, str], list[tuple[int, str]], LoadedConfigs]:
    """Settings, memory, variables, faults of .env, configs. The validator is loaded only for what has changed."""
    known = cache.read(project_dir)
    if known is not None:
        fleet, ids, loaded = known
        remembered = state_file.load(fleet.state_file, fleet.name)
        if dict(remembered.ids) == ids:
            dotenv, faults = read_dotenv(fleet.dotenv_file)
            return fleet, remembered, merge_environment(dotenv, os.environ), faults, loaded
    from manager.config import fleet_settings, loader  # pydantic: 0.1 s

    signature = cache.signature(project_dir)
    fleet, defaults = fleet_settings.load(project_dir)
    remembered = state_file.load(fleet.state_file, fleet.name)
    dotenv, faults = read_dotenv(fleet.dotenv_file)
    variables = merge_environment(dotenv, os.environ)
    loaded = loader.load(fleet, defaults, variables, remembered.ids)
    cache.write(fleet, remembered.ids, loaded, signature)
    return fleet, remembered, variables, faults, loaded


def _with_ports(
    specs: tuple[InstanceSpec, ...], fleet: Fleet, remembered: FleetState, known_ports: Mapping[str, int]
) -> dict[str, InstanceSpec]:
    """Gives a port to the specs whose config leaves it open."""
    known = {each.id: port for each in specs if (port := remembered.of(each.id).web_port) is not None}
    known.update(known_ports)
    taken = [each.web_port for each in specs if each.web_port is not None]
    wanting = [each.id for each in specs if each.web_port is None]
    assigned = state_file.assign_ports(
        wanting, known, taken, lambda port: host.is_port_free(fleet.bind_address, port)
    )
    return {
        each.id: each if each.web_port is not None else each.with_port(assigned[each.id])
        for each in sorted(specs, key=lambda each: each.id)
    }
