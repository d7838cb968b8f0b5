"""Observe the fleet: configs, containers as the engine lists them, and supervisors' states."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from manager.config import bot_environment, markets
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec, config_hash
from manager.engine import labels, unreachable
from manager.engine.containers import Container, Observed
from manager.errors import ConfigError, NotFound, Problem
from manager.fleet import (
    container_folder,
    definition_drift,
    endings,
    engine_files,
    env_file,
    env_file_values,
    forgotten,
    listing,
    reading_ahead,
    status,
    supervisor_state,
    time_zone,
    tombstone,
)
from manager.fleet.definition_drift import DriftedPart
from manager.fleet.instance import Instance
from manager.fleet.project import Project
from manager.fleet.snapshot import Desired, PlanInput
from manager.fleet.supervisor_state import SupervisorState
from manager.i18n import Text
from manager.typed import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from manager.engine.client import Engine


class Image(NamedTuple):
    """Hold the fleet's image: its id, and the contract version of its supervisor, empty without an image.

    `variables`: what its bot reads, if that is recorded. `config`: what the engine gives to its containers.
    """

    id: str
    contract: str
    variables: tuple[str, ...] = ()
    config: Mapping[str, Any] = MappingProxyType({})

    def config_of(self, container: Container) -> Mapping[str, Any] | None:
        """Return what its image gave to a container; None for one that was made from another image."""
        return self.config if self.config and container.image_id == self.id else None

    def has_bundled_bot(self, fleet: Fleet) -> bool:
        """Return whether the bot in it is certainly the bundled one, which alone runs isolated.

        An image of the same name may have been built with another bot: `manager build --bot`.
        """
        its_labels = self.config.get("Labels") or {}
        is_isolated = "-I" in str(its_labels.get(labels.OPEN_ORDERS, "")).split()
        return fleet.is_bundled_bot and is_isolated and labels.VARIABLES not in its_labels


NO_IMAGE = Image("", "")


class FleetSnapshot(NamedTuple):
    """Hold the whole fleet at one moment."""

    project: Project
    observed: Observed
    plan_input: PlanInput
    views: Mapping[str, Instance]
    env_values: Mapping[str, Mapping[str, str]]
    image: Image = NO_IMAGE

    def conflicts(self, named: list[str] | None, *, is_upgrade: bool = False) -> list[Problem]:
        """Return what prevents these instances (None: all) from running beside other live containers.

        An instance that was rolled back, or whose config is refused, starts with its container's credentials,
        whatever its config says; only an upgrade changes them. What was moved away runs beside none of them.
        """
        project, fleet = self.project, self.project.fleet
        chosen = [
            instance
            for instance in project.specs
            if (named is None or instance in named) and instance not in project.moved
        ]
        as_they_were = {
            instance: self.trading_of(container)
            for instance in chosen
            if not is_upgrade
            and (self.views[instance].is_rolled_back or instance in self.plan_input.untrusted)
            and (container := self.views[instance].container) is not None
        }
        as_configured = [project.specs[instance] for instance in chosen if instance not in as_they_were]
        trading = [
            *self.trading(chosen),
            *(mine for instance, mine in as_they_were.items() if self._is_live(instance)),
        ]
        problems = list(
            bot_environment.conflicts_with_running(as_configured, trading, fleet, project.variables)
        )
        for instance, mine in as_they_were.items():
            others = [other for other in trading if other.instance != instance]
            if self._is_live(instance) and (
                taken := bot_environment.find_shared_account(
                    mine.exchange, mine.symbol, mine.values, others, fleet, mine.kind
                )
            ):
                problems.append(
                    bot_environment.account_in_use(project.specs[instance].config_file, mine.symbol, taken)
                )
        return problems

    def trading(self, excepted: Collection[str]) -> list[bot_environment.LiveContainer]:
        """Return the containers that trade live, without those of these instances, and without idle ones."""
        without = {*excepted, *self.plan_input.idle}
        own = (container for name, container in self.observed.containers.items() if name not in without)
        strays = (stray for stray in self.observed.strays if stray.instance not in excepted)
        live = (container for container in (*own, *strays) if container.is_up and container.mode == "live")
        return [self.trading_of(container) for container in live]

    def trading_of(self, container: Container) -> bot_environment.LiveContainer:
        """Return a container as one that trades live, with the variables that it was given."""
        instance, given = container.instance, container.labels
        return bot_environment.LiveContainer(
            instance,
            container.name,
            given.get(labels.EXCHANGE, ""),
            given.get(labels.SYMBOL, ""),
            env_file.read(self.project.fleet.secrets_dir(instance) / env_file.ENV_FILE)
            or (self.env_values.get(instance) if instance not in self.project.held_back else None),
            markets.kind_traded(given.get(labels.MARKET_TYPE, ""), given.get(labels.STRATEGY, "")),
        )

    def _is_live(self, instance: str) -> bool:
        container = self.views[instance].container
        return container is not None and container.mode == "live"

    def require_ours(self) -> None:
        """Raise ConfigError if containers with this fleet's name belong to another folder."""
        if problems := self.foreign():
            raise ConfigError(problems)

    def foreign(self, ours: Collection[str] = ()) -> list[Problem]:
        """Return a problem for each container of another folder with our fleet's name, except in `ours`."""
        fleet = self.project.fleet
        return [
            Problem.at(
                "config/fleet.toml",
                "name",
                "the container {container} of fleet {fleet} belongs to {there}, not to {here}; give this"
                " fleet another name, or run `manager down` there",
                container=container.name,
                fleet=fleet.name,
                there=place.there,
                here=place.here,
            )
            for container in self.observed.containers.values()
            if container.instance not in ours and (place := self.foreign_folder(container))
        ]

    def foreign_folder(self, container: Container) -> container_folder.ForeignFolder | None:
        """Return the other folder that a container with this fleet's name belongs to; None for ours."""
        fleet, view = self.project.fleet, self.views.get(container.instance)
        return container_folder.foreign_folder(container, view.supervisor if view else None, fleet)


def look(project: Project, engine: "Engine", compared: Collection[str] = ()) -> FleetSnapshot:
    """Observe the fleet with two engine calls for any size: the list of containers and the image.

    `compared`: whose containers alone are compared with their definitions; all if empty.
    """
    until_read = reading_ahead.begin(project, compared or project.specs)
    try:
        present = image_of(project.fleet, engine)
    except NotFound:
        present = NO_IMAGE
    skipped = [instance for instance in project.specs if instance not in compared] if compared else ()
    listed = listing.observed(project.fleet.name, engine)
    until_read()
    return assemble(project, listed, present, made_before=dict.fromkeys(skipped, ()))


def image_of(fleet: Fleet, engine: "Engine") -> Image:
    """Return the fleet's image with one engine call. Raises NotFound."""
    image = engine.image(fleet.image_name)
    contract = ((image.get("Config") or {}).get("Labels") or {}).get(labels.SUPERVISOR, "")
    names: tuple[str, ...] = ()
    if not fleet.is_bundled_bot:
        from manager.config.variables import looks_secret
        from manager.engine import bot_variables

        names = bot_variables.in_labels(image)
        if not fleet.bot_dir:  # who built it elsewhere does not choose which keys it is given
            names = tuple(name for name in names if not looks_secret(name, ""))
    return Image(unreachable.image_id(image), contract, names, image.get("Config") or {})


def observed_again(before: FleetSnapshot, engine: "Engine", touched: Collection[str]) -> Observed:
    """Return the same containers, after those of the `touched` instances were started or stopped.

    This is one short engine call.
    """
    containers = before.observed.containers
    ids = [containers[instance].id for instance in touched if instance in containers]
    fresh = listing.observed(before.project.fleet.name, engine, ids).containers
    now = {
        instance: fresh.get(instance, old)
        for instance, old in containers.items()
        if instance in fresh or instance not in touched
    }
    return before.observed._replace(containers=now)


def assemble(
    project: Project,
    observed: Observed,
    image: Image,
    wanted_before: Mapping[str, Desired] = MappingProxyType({}),
    made_before: Mapping[str, tuple[DriftedPart, ...]] = MappingProxyType({}),
) -> FleetSnapshot:
    """Combine configs, containers and supervisors' states.

    `wanted_before`, `made_before`: the desired containers of instances that were not touched since, and in
    what theirs differ from their definitions.
    """
    containers = observed.containers
    project = project.with_known_ports(
        {one.instance: one.web_port for one in containers.values() if one.web_port is not None}
    )
    fleet = project.fleet
    for_all = bot_environment.shared_variables(fleet, project.variables, time_zone.time_zone())
    known = {*project.specs, *containers}
    left_behind = forgotten.find(fleet, {*known, *project.loaded.elsewhere}, project.fleet_state)
    ids = sorted({*known, *left_behind})
    supervisors = {one: supervisor_state.read(fleet.instance_state_dir(one)) for one in ids}
    kept_files = project.loaded.kept_files
    held_back = frozenset(one.instance for one in containers.values() if one.config_file in kept_files)
    statuses = _statuses(fleet, containers, supervisors, {*project.specs, *held_back})
    env_values = env_file_values.of_project(project, for_all, is_bundled_bot=image.has_bundled_bot(fleet))
    wanted = _desired(project, observed, wanted_before, for_all, env_values, made_before)
    moved = container_folder.moved(fleet, containers, supervisors)
    made = _drifts(project, containers, supervisors, {*moved, *made_before}, image)
    made |= {instance: drift for instance, drift in made_before.items() if drift and instance in containers}
    plan_input = PlanInput(
        wanted,
        containers,
        statuses,
        project.fleet_state,
        image.id,
        held_back,
        _idle(containers, supervisors),
        moved=moved,
        untrusted={
            instance: Text("{problem}", problem=problems[0])
            for instance, problems in project.loaded.refusals.items()
        },
        made=made,
        outgrown=_outgrown(project, containers, made),
        tombstones=tombstone.find_all(fleet, supervisors),
        ended=endings.find(fleet, containers, supervisors),
    )
    views = _views(project, plan_input, supervisors, left_behind)
    return FleetSnapshot(project, observed, plan_input, views, env_values, image)


def _views(
    project: Project,
    plan_input: PlanInput,
    supervisors: Mapping[str, SupervisorState | None],
    left_behind: Mapping[str, Instance],
) -> dict[str, Instance]:
    """Return each instance, with what is known of it. `left_behind`: those of which only files are left."""
    return {
        instance: Instance(
            instance,
            its_status,
            tuple(plan_input.drift(instance)),
            project.specs.get(instance),
            plan_input.containers.get(instance),
            supervisors.get(instance),
            project.fleet_state.of(instance),
            plan_input.refusal(instance) is not None,
            tombstone=plan_input.tombstones.get(instance),
            is_moved=instance in plan_input.moved,
            mode_of_files=left_behind[instance].mode_of_files if instance in left_behind else None,
        )
        for instance, its_status in plan_input.statuses.items()
    }


def _desired(
    project: Project,
    observed: Observed,
    known: Mapping[str, Desired],
    for_all: Mapping[str, str],
    env_values: Mapping[str, Mapping[str, str]],
    uncompared: Collection[str],
) -> dict[str, Desired]:
    """Return what each config asks for. `known`: the desired containers that are known already;
    `uncompared`: whose env files are not looked at.
    """
    fleet = project.fleet
    hashes = project.loaded.config_hashes  # once: it goes through all configs

    def desired(instance: str, spec: InstanceSpec) -> Desired:
        values = env_values[instance]
        is_compared = instance in observed.containers and instance not in uncompared
        is_changed = is_compared and env_file_values.differ(project, spec, for_all, values)
        return Desired(
            instance,
            hashes.get(instance) or config_hash(spec, fleet),
            spec.web_port,
            environment_changed=is_changed,
            reread=env_file_values.reread(project, spec, for_all, values) if is_changed else (),
        )

    return {
        instance: known.get(instance) or desired(instance, spec) for instance, spec in project.specs.items()
    }


def _idle(
    containers: Mapping[str, Container], supervisors: Mapping[str, SupervisorState | None]
) -> frozenset[str]:
    """Return the instances whose supervisors start no bot, because they were halted."""
    return frozenset(
        one.instance
        for one in containers.values()
        if (state := supervisors.get(one.instance)) and state.container == one.id and state.is_halted
    )


def _outgrown(
    project: Project, containers: Mapping[str, Container], made: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Return the instances whose bots use more memory now than their configs allow."""
    return frozenset(
        instance
        for instance, drifts in made.items()
        if "limits" in drifts
        and definition_drift.has_outgrown(
            engine_files.host_config(containers[instance].id), containers[instance], project.specs[instance]
        )
    )


def _statuses(
    fleet: Fleet,
    containers: Mapping[str, Container],
    supervisors: Mapping[str, SupervisorState | None],
    configured: Collection[str],
) -> dict[str, status.Status]:
    """Return each instance's status. The supervisors' files were read before: see `uptime`."""
    uptime = supervisor_state.uptime()  # after the files: a newer one would seem to be from another boot
    return {
        instance: status.derive_status(
            containers.get(instance),
            supervisor,
            configured=instance in configured,
            uptime=uptime,
            other_container=_other_container(
                containers.get(instance), supervisor, fleet.instance_state_dir(instance)
            ),
            unwritten=definition_drift.unwritten(containers.get(instance), supervisor, fleet),
        )
        for instance, supervisor in supervisors.items()
    }


def _drifts(
    project: Project,
    containers: Mapping[str, Container],
    supervisors: Mapping[str, SupervisorState | None],
    left_out: Collection[str],
    image: Image,
) -> dict[str, tuple[DriftedPart, ...]]:
    """Return in what containers differ from their definitions; not another folder's, nor those left out."""
    drifts = {
        instance: definition_drift.drift(
            container, spec, supervisors.get(instance), project, image.config_of(container)
        )
        for instance, container in containers.items()
        if (spec := project.specs.get(instance)) is not None
        and instance not in left_out
        and container_folder.foreign_folder(container, supervisors.get(instance), project.fleet) is None
    }
    return {instance: drift for instance, drift in drifts.items() if drift}


def _other_container(
    container: Container | None, supervisor: SupervisorState | None, state_dir: Path
) -> str | None:
    """Return the other container that runs an instance's bot, if there is one."""
    if supervisor is None or (container is not None and supervisor.container == container.id):
        return None
    return supervisor.container if supervisor_state.is_locked(state_dir) else None
