"""One look at the fleet: what the configs want, what the engine has, what the supervisors say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from manager.config import bot_environment
from manager.config.fleet import Fleet
from manager.config.spec import config_hash
from manager.engine import containers as engine_containers
from manager.engine import labels
from manager.engine.containers import Container, Observed
from manager.errors import ConfigError, NotFound, Problem
from manager.fleet import env_file, host, status, supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.project import Project
from manager.fleet.snapshot import Desired, PlanInput
from manager.fleet.supervisor_state import SupervisorState
from manager.util import strict_json

if TYPE_CHECKING:
    from manager.engine.client import Engine


class Image(NamedTuple):
    """The fleet's image: its id, and the version of the contract that its supervisor keeps. Both empty where there is none."""

    id: str
    contract: str


NO_IMAGE = Image("", "")


class Elsewhere(NamedTuple):
    """The folder that a container belongs to, and the one of ours that it would have to belong to."""

    there: str
    here: str


class FleetSnapshot(NamedTuple):
    """The whole fleet at one moment."""

    project: Project
    observed: Observed
    plan_input: PlanInput
    views: Mapping[str, Instance]
    env_values: Mapping[str, Mapping[str, str]]
    image: Image = NO_IMAGE

    def beside(self, named: list[str] | None, *, is_upgrade: bool = False) -> list[Problem]:
        """What keeps these instances (None: all) from starting beside the other containers that trade live.

        One that was put back starts as its container is, with the purse of then, whatever its config says now; only an upgrade
        gives it the purse of its config.
        """
        project, fleet = self.project, self.project.fleet
        chosen = [each for each in project.specs if named is None or each in named]
        as_they_were = {
            each: self._trading_of(container)
            for each in chosen
            if not is_upgrade
            and self.views[each].is_rolled_back
            and (container := self.views[each].container) is not None
        }
        as_configured = [project.specs[each] for each in chosen if each not in as_they_were]
        trading = [
            *self.trading(chosen),
            *(mine for each, mine in as_they_were.items() if self._is_live(each)),
        ]
        problems = list(
            bot_environment.conflicts_with_running(as_configured, trading, fleet, project.variables)
        )
        for each, mine in as_they_were.items():
            others = [other for other in trading if other.instance != each]
            if self._is_live(each) and (
                taken := bot_environment.find_shared_account(
                    mine.exchange, mine.symbol, mine.values, others, fleet
                )
            ):
                problems.append(
                    bot_environment.account_in_use(project.specs[each].config_file, mine.symbol, taken)
                )
        return problems

    def trading(self, excepted: Collection[str]) -> list[bot_environment.LiveContainer]:
        """The containers that trade live now, but for those of these instances."""
        return [
            self._trading_of(each)
            for each in (*self.observed.containers.values(), *self.observed.strays)
            if each.is_up and each.mode == "live" and each.instance not in excepted
        ]

    def _trading_of(self, container: Container) -> bot_environment.LiveContainer:
        instance = container.instance
        return bot_environment.LiveContainer(
            instance,
            container.name,
            container.labels.get(labels.EXCHANGE, ""),
            container.labels.get(labels.SYMBOL, ""),
            env_of(self.project.fleet.secrets_dir(instance) / env_file.ENV_FILE)
            or self.env_values.get(instance),
        )

    def _is_live(self, instance: str) -> bool:
        container = self.views[instance].container
        return container is not None and container.mode == "live"

    def require_ours(self) -> None:
        """Raises ConfigError when containers of this fleet's name come from another project or data folder."""
        if found := self.foreign():
            raise ConfigError(found)

    def foreign(self) -> list[Problem]:
        """A problem for each container of this fleet's name that comes from another project or data folder."""
        fleet = self.project.fleet
        return [
            Problem.at(
                "config/fleet.toml",
                "name",
                "the container {container} of fleet {fleet} belongs to {there}, not to {here}; give this fleet another"
                " name, or take that one down there",
                container=each.name, fleet=fleet.name, there=place.there, here=place.here,
            )
            for each in self.observed.containers.values()
            if (place := self.elsewhere(each))
        ]  # fmt: skip

    def elsewhere(self, container: Container) -> Elsewhere | None:
        """From which other folder a container of this fleet's name comes; None for one of ours."""
        fleet, view = self.project.fleet, self.views.get(container.instance)
        return elsewhere(container, view.supervision if view else None, fleet)


def elsewhere(container: Container, said: SupervisorState | None, fleet: Fleet) -> Elsewhere | None:
    """From which other folder a container comes; None where its database folder is the very one that is ours now.

    A path can lead there by a link, and the folder can have been moved since: then our supervisor's file tells, and while the
    container is up also the lock, which the one in a copy of our folder does not hold.
    """
    source, database = container.data_source, fleet.database_dir(container.instance)
    if not source:
        there = container.project_dir
        if not there or there == str(fleet.project_dir) or _is_same_file(Path(there), fleet.project_dir):
            return None
        return Elsewhere(there, str(fleet.project_dir))
    is_same = _is_same_file(Path(source), database)
    if is_same or (is_same is None and source == str(database)):
        return None
    is_named = said is not None and said.container == container.id
    if is_named and (
        is_same is None
        or (container.is_up and supervisor_state.is_held(fleet.instance_state_dir(container.instance)))
    ):
        return None
    is_labelled = container.project_dir not in ("", str(fleet.project_dir))
    return (
        Elsewhere(container.project_dir, str(fleet.project_dir))
        if is_labelled
        else Elsewhere(source, str(database))
    )


def _is_same_file(there: Path, here: Path) -> bool | None:
    """Whether two paths lead to one file at this moment; None where one of them leads nowhere that we can see."""
    try:
        first, second = there.stat(), here.stat()
    except OSError:
        return None
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def look(project: Project, engine: Engine) -> FleetSnapshot:
    """Two engine calls, whatever the fleet's size: the list of containers and the image."""
    try:
        found = engine.image(project.fleet.image_name)
    except NotFound:
        return look_at_containers(project, engine, NO_IMAGE)
    contract = ((found.get("Config") or {}).get("Labels") or {}).get(labels.SUPERVISOR, "")
    return look_at_containers(project, engine, Image(str(found["Id"]), contract))


def look_at_containers(project: Project, engine: Engine, image: Image) -> FleetSnapshot:
    """One engine call; the image is known."""
    return assemble(project, observed(project, engine), image)


def observed(project: Project, engine: Engine, ids: Iterable[str] = ()) -> Observed:
    """The fleet's containers as the engine lists them now; with `ids`, only of these."""
    name = project.fleet.name
    return engine_containers.observe(engine.containers(labels.fleet_filter(name), ids), name)


def observed_again(before: FleetSnapshot, engine: Engine, touched: Collection[str]) -> Observed:
    """The same containers, of which those of the `touched` instances have been started or stopped: one short engine call."""
    containers = before.observed.containers
    ids = [containers[each].id for each in touched if each in containers]
    fresh = observed(before.project, engine, ids).containers
    now = {
        each: fresh.get(each, old) for each, old in containers.items() if each in fresh or each not in touched
    }
    return before.observed._replace(containers=now)


def assemble(
    project: Project,
    observed: Observed,
    image: Image,
    wanted_before: Mapping[str, Desired] = MappingProxyType({}),
) -> FleetSnapshot:
    """Puts configs, containers and supervisors' words together.

    `wanted_before`: what the configs want of the instances that nobody has touched since.
    """
    ports = {
        each.instance: each.web_port for each in observed.containers.values() if each.web_port is not None
    }
    project = project.with_known_ports(ports)
    fleet = project.fleet
    for_all = bot_environment.shared_variables(fleet, project.variables, host.time_zone())
    said = {
        each: supervisor_state.read(fleet.instance_state_dir(each))
        for each in sorted({*project.specs, *observed.containers})
    }
    uptime = (
        supervisor_state.uptime()
    )  # after the files: one that is written meanwhile would seem to be of another boot
    kept = frozenset(
        each.instance
        for each in observed.containers.values()
        if each.config_file in project.loaded.broken_files
    )
    verdicts = {
        each: status.verdict(
            observed.containers.get(each),
            said.get(each),
            configured=each in project.specs or each in kept,
            uptime=uptime,
            elsewhere=_elsewhere(
                observed.containers.get(each), said.get(each), fleet.instance_state_dir(each)
            ),
        )
        for each in said
    }
    env_values = {
        each: bot_environment.env_file_values(spec, for_all, project.variables)
        for each, spec in project.specs.items()
    }
    hashes = project.loaded.config_hashes
    wanted = {
        each: wanted_before.get(each)
        or Desired(
            each,
            hashes.get(each) or config_hash(spec, fleet),
            spec.web_port,
            environment_changed=each in observed.containers
            and env_file.env_differs(spec, fleet, env_values[each]),
        )
        for each, spec in project.specs.items()
    }
    idle = frozenset(
        each.instance
        for each in observed.containers.values()
        if (state := said.get(each.instance)) and state.container == each.id and state.is_halted
    )
    moved = frozenset(
        each.instance
        for each in observed.containers.values()
        if each.data_source
        and each.data_source != str(fleet.database_dir(each.instance))
        and not _is_same_file(Path(each.data_source), fleet.database_dir(each.instance))
        and elsewhere(each, said.get(each.instance), fleet) is None
    )
    plan_input = PlanInput(wanted, observed.containers, verdicts, project.memory, image.id, kept, idle, moved)
    views = {
        each: Instance(
            each,
            verdicts[each],
            tuple(plan_input.drift(each)),
            project.specs.get(each),
            observed.containers.get(each),
            said.get(each),
            project.memory.of(each),
            plan_input.refusal(each) is not None,
        )
        for each in verdicts
    }
    return FleetSnapshot(project, observed, plan_input, views, env_values, image)


def env_of(path: Path) -> dict[str, str] | None:
    """What a container was given by this env file; None for one that is not there or cannot be read."""
    try:
        found = strict_json.read(path)
    except strict_json.JsonFault:
        return None
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else None


def _elsewhere(container: Container | None, said: SupervisorState | None, state_dir: Path) -> str | None:
    """The other container that runs an instance's bot now, if one does."""
    if said is None or (container is not None and said.container == container.id):
        return None
    return said.container if supervisor_state.is_held(state_dir) else None
