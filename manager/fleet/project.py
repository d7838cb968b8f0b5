"""Read everything on disk that determines the fleet: settings, configs, variables, state."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from manager.config import bot_environment, cache, dotenv, signing_libraries, verification
from manager.config.dotenv import Dotenv
from manager.config.fleet import MAX_SETTINGS_BYTES, Fleet
from manager.config.loaded import LoadedConfigs, is_config
from manager.config.spec import InstanceSpec
from manager.config.variables import merge_environment
from manager.engine import containers, labels
from manager.errors import ConfigError, Problem, UsageError
from manager.fleet import halt_mark, host, image_variables, state_file, tombstone
from manager.fleet.state_file import FleetState
from manager.i18n import Text
from manager.typed import Any, NamedTuple
from manager.util import strict_json
from manager.util.real_path import real_path

RESERVED_ID = "web"
"""The name of the fleet's page, beside the instances' ids."""


class Project(NamedTuple):
    """Hold one project folder.

    `specs` have their ports; `variables` contain secrets and are never printed. `reread`: the variables of
    .env that earlier versions read differently, as they read them. `moved`: the instances with a tombstone,
    which need no credentials here.
    """

    fleet: Fleet
    loaded: LoadedConfigs
    fleet_state: FleetState
    variables: Mapping[str, str]
    specs: Mapping[str, InstanceSpec]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    reread: Mapping[str, str] = MappingProxyType({})
    moved: frozenset[str] = frozenset()

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """Return what configs may not hand over. It prevents nothing that exists from going on."""
        return self.refusals_of(None)

    def refusals_of(self, named: Collection[str] | None) -> tuple[Problem, ...]:
        """Return what these instances' configs may not hand over; all for the whole fleet, None."""
        by_id = self.loaded.refusals
        return tuple(problem for id_ in by_id if named is None or id_ in named for problem in by_id[id_])

    def unusable_keys(self, named: Collection[str] | None = None) -> dict[str, list[Problem]]:
        """Map a live instance to its keys with which nothing can be signed; of those named, or of all."""
        chosen = (
            self.specs
            if named is None
            else [instance_id for instance_id in named if instance_id in self.specs]
        )
        unusable = {
            instance: list(bot_environment.wrong_forms([self.specs[instance]], self.fleet, self.variables))
            for instance in chosen
            if instance not in self.moved
        }
        return {instance: problems for instance, problems in unusable.items() if problems}

    def with_known_ports(self, ports: Mapping[str, int]) -> "Project":
        """Return the project with the ports that containers have, instead of newly assigned ones."""
        return self._replace(specs=_with_ports(self.loaded.specs, self.fleet, self.fleet_state, ports))

    @property
    def blocking_problems(self) -> tuple[Problem, ...]:
        """Return what keeps the whole fleet from starting: faults of .env and of our own files.

        With `strict_configs`, those of each config too.
        """
        if self.fleet.strict_configs:
            return self.problems
        files = {loaded.file for loaded in self.loaded.files}
        return tuple(problem for problem in self.problems if problem.file not in files)

    @property
    def held_back(self) -> frozenset[str]:
        """Return the instances whose config has a problem, or conflicts with another one."""
        return self.concerned(self.problems)

    def concerned(self, problems: Sequence[Problem]) -> frozenset[str]:
        """Return the instances whose configs these problems are about."""
        files = {file for problem in problems for file in (problem.file, problem.also)}
        return frozenset(spec.id for spec in self.specs.values() if spec.config_file in files)

    def problems_of(self, named: Sequence[str] | None) -> tuple[Problem, ...]:
        """Return the problems of these instances' configs and those of no config; None: all.

        An instance without a config may be that of a file that cannot be loaded: see `unloaded`.
        """
        if named is None:
            return self.problems
        files = {self.specs[instance].config_file for instance in named if instance in self.specs}
        files.update(file for instance in named for file in self.unloaded(instance))
        others = {loaded.file for loaded in self.loaded.files} - files
        return tuple(
            problem for problem in self.problems if problem.file not in others or problem.concerns(files)
        )

    def unloaded(self, instance: str) -> list[str]:
        """Return the files that cannot be loaded and may be this instance's: that of its name, else each."""
        if instance in self.specs:
            return []
        files = [loaded.file for loaded in self.loaded.files if loaded.spec is None]
        return [file for file in files if Path(file).stem == instance] or files

    def warnings_of(self, named: Sequence[str] | None) -> tuple[Problem, ...]:
        """Return the warnings about these instances' configs and .env; all for the whole fleet, None."""
        if named is None:
            return self.warnings
        files = {self.specs[instance].config_file for instance in named if instance in self.specs}
        files.add(".env")
        return tuple(warning for warning in self.warnings if warning.concerns(files))

    def select(self, ids: Sequence[str], files: Sequence[str]) -> list[str] | None:
        """Return the instances that ids and `--config` files name, in order; None if nothing was named.

        Raises UsageError for an unknown name, ConfigError for a file that cannot be loaded.
        """
        if not ids and not files:
            return None
        chosen = [*ids, *(self.instance_of(file) for file in files)]
        return list(dict.fromkeys(chosen))

    def instance_of(self, file: str) -> str:
        """Return the id of the instance with this config file."""
        try:
            path = real_path(Path(file))
            is_there = path.exists()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name too long, links in a circle
            raise ConfigError([Problem.at(file, "", "no such file")]) from error
        for loaded in self.loaded.files:
            if real_path(self.fleet.project_dir / loaded.file) == path:
                if loaded.spec is None:
                    raise ConfigError(loaded.problems)
                return loaded.spec.id
        if not is_there:
            raise ConfigError([Problem.at(file, "", "no such file")])
        if path.parent == real_path(self.fleet.config_dir) and not is_config(path.name):
            raise UsageError(
                "{file} is not a config: its name must end in .json and not begin with a dot", file=file
            )
        raise UsageError(
            "{file} is not in {folder}: copy it there first",
            file=file,
            folder=self.fleet.relative(self.fleet.config_dir),
        )


def read(project_dir: Path) -> Project:
    """Read a project folder.

    Raises ConfigError only for faults of the whole fleet; those of single files are in `problems`.
    """
    fleet, saved, env, loaded = _on_disk(real_path(project_dir))
    variables = merge_environment(env.variables, os.environ)
    specs = _with_ports(loaded.specs, fleet, saved, {})
    moved = frozenset(instance for instance in specs if tombstone.find(fleet, instance) is not None)
    here = [spec for spec in loaded.specs if spec.id not in moved]
    env_faults = [
        Problem(".env", str(Text("line {number}", number=number)) if number else "", why)
        for number, why in env.faults
    ]
    problems = [
        *saved.faults,
        *env_faults,
        *loaded.problems,
        *bot_environment.credential_problems(here, fleet, variables),
    ]
    return Project(
        fleet=fleet,
        loaded=loaded,
        fleet_state=halt_mark.overlaid(saved, fleet, specs),
        variables=variables,
        specs=specs,
        problems=tuple(problems),
        warnings=(
            *loaded.warnings,
            *bot_environment.unset_variable_warnings(here, variables),
            *signing_libraries.unnamed(here, fleet, variables),
            *_outgoing_port_warnings(loaded.specs),
            *_reserved_id_warnings(loaded.specs),
        ),
        reread={name: value for name, value in env.reread.items() if not os.environ.get(name)},
        moved=moved,
    )


def _reserved_id_warnings(specs: Iterable[InstanceSpec]) -> Iterator[Problem]:
    """Warn of the id that is the page's own name. A fleet that has one goes on with it."""
    for spec in specs:
        if spec.id.lower() == RESERVED_ID:
            yield Problem.at(
                spec.config_file,
                "metadata.instance_id",
                "the id `web` is reserved for the fleet's page; give new bots another one",
            )


def _outgoing_port_warnings(specs: Iterable[InstanceSpec]) -> Iterator[Problem]:
    """Yield a warning for each web port that any program's outgoing connection may have at a start."""
    outgoing = host.outgoing_ports()
    for spec in specs:
        if spec.web_port is not None and spec.web_port in outgoing and not host.is_reserved(spec.web_port):
            yield Problem.at(
                spec.config_file,
                "daemon_config.web_port",
                "the kernel gives {port} to outgoing connections too ({first} to {last}): a start may find it"
                " in use; choose a lower one",
                port=spec.web_port,
                first=outgoing[0],
                last=outgoing[-1],
            )


def folders_of(project_dir: Path) -> Fleet | None:
    """Return the fleet with nothing but its folders: its marks are made before configs are read, which may be
    slow or wrong. None if the settings do not tell.
    """
    import tomllib

    folder = real_path(project_dir)
    try:
        raw = strict_json.read_bytes(folder / "config" / "fleet.toml", MAX_SETTINGS_BYTES)
        settings = tomllib.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        settings = {}
    except (OSError, ValueError, RecursionError):
        return None
    data_dir = settings.get("data_dir", "volumes")
    if not isinstance(data_dir, str) or not data_dir or "\0" in data_dir:
        return None
    return Fleet(str(settings.get("name", "")), folder, real_path(folder / data_dir))


def by_containers(
    project_dir: Path, rows: Iterable[Mapping[str, Any]], problems: Sequence[Problem]
) -> Project | None:
    """Return a project with unreadable settings, as far as its containers describe it: enough to stop them.

    None if they are inconsistent.
    """
    seen = containers.observe(rows, "")
    places = {
        (
            container.labels.get(labels.COMPOSE_PROJECT, ""),
            Path(container.data_source).parent.parent,
        )  # of DATA/database/ID
        for container in (*seen.containers.values(), *seen.strays)
        if container.data_source is not None
    }
    if len(places) != 1:
        return None
    ((name, data_dir),) = places
    fleet = Fleet(name, project_dir, data_dir)
    return Project(fleet, LoadedConfigs(), load_state(fleet), {}, {}, tuple(problems), ())


def load_state(fleet: Fleet, instances: Iterable[str] = ()) -> FleetState:
    """Return the saved state combined with the halt marks of these and all other known instances."""
    return halt_mark.overlaid(state_file.load(fleet.state_file, fleet.name), fleet, instances)


def _on_disk(
    project_dir: Path,
) -> tuple[Fleet, FleetState, Dotenv, LoadedConfigs]:
    """Read settings, state, .env and configs.

    The validator is loaded only after a change.
    """
    known = cache.read(project_dir)
    if known is not None:
        fleet, ids, loaded = known
        saved = state_file.load(fleet.state_file, fleet.name)
        if dict(saved.ids) == ids and fleet.image_variables == image_variables.load(fleet):
            return fleet, saved, dotenv.read(fleet.dotenv_file), loaded
    from manager.config import fleet_settings, loader  # pydantic: 0.1 s

    signature = cache.signature(project_dir)
    fleet, defaults = fleet_settings.load(project_dir)
    fleet = image_variables.with_known(fleet)
    saved = state_file.load(fleet.state_file, fleet.name)
    env = dotenv.read(fleet.dotenv_file)
    files = loader.load(fleet, defaults, merge_environment(env.variables, os.environ), saved.ids)
    loaded = verification.with_refusals(files, fleet)
    cache.write(fleet, saved.ids, loaded, signature)
    return fleet, saved, env, loaded


def _with_ports(
    specs: tuple[InstanceSpec, ...], fleet: Fleet, saved: FleetState, known_ports: Mapping[str, int]
) -> dict[str, InstanceSpec]:
    """Assign ports to the specs whose config leaves them open."""
    known = {spec.id: port for spec in specs if (port := saved.of(spec.id).web_port) is not None}
    known.update(known_ports)
    taken = [spec.web_port for spec in specs if spec.web_port is not None]
    wanting = [spec.id for spec in specs if spec.web_port is None]
    assigned = state_file.assign_ports(
        wanting, known, taken, lambda port: host.is_port_free(fleet.bind_address, port)
    )
    return {
        spec.id: spec if spec.web_port is not None else spec.with_port(assigned[spec.id])
        for spec in sorted(specs, key=lambda spec: spec.id)
    }
