"""Check what must hold before a command touches instances: valid configs, and no shared accounts."""

from manager.config.loaded import LoadedFile
from manager.errors import ConfigError, Problem, UsageError
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import pinned, require_loaded
from manager.fleet.snapshot import PlanInput
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.typed import NamedTuple


def pinned_cause(instance: str, config: LoadedFile, snapshot: FleetSnapshot) -> Text:
    """Return why an instance of another machine is left alone, and what to do if it is here after all."""
    if instance not in snapshot.plan_input.containers:
        return Text("belongs to host {host} ({file})", host=config.elsewhere, file=config.file)
    return Text(
        "belongs to host {host} ({file}), but its container is here: `manager down {id}` removes it",
        host=config.elsewhere,
        file=config.file,
        id=instance,
    )


class HeldBack(NamedTuple):
    """Hold the instances that are not touched because of their configs, and the problems of these."""

    instances: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    def without(self, plan_input: PlanInput) -> PlanInput:
        """Return what there is to plan for the others."""
        wanted = {
            instance: desired
            for instance, desired in plan_input.wanted.items()
            if instance not in self.instances
        }
        return plan_input._replace(wanted=wanted, held_back=plan_input.held_back | self.instances)

    def actions(self, snapshot: FleetSnapshot, named: list[str] | None) -> list[Action]:
        """Return a `leave` for each of them that the command is about."""
        left = [instance for instance in sorted(self.instances) if named is None or instance in named]
        return [Action("leave", instance, self._cause(snapshot, instance)) for instance in left]

    def _cause(self, snapshot: FleetSnapshot, instance: str) -> Text:
        if pinned := snapshot.project.loaded.elsewhere.get(instance):
            return pinned_cause(instance, pinned, snapshot)
        spec, container = snapshot.project.specs.get(instance), snapshot.plan_input.containers.get(instance)
        file = spec.config_file if spec else container.config_file if container else ""
        return Text("held back because of {file}", file=file)


NOTHING_HELD_BACK = HeldBack()


def held_back(snapshot: FleetSnapshot, named: list[str] | None) -> HeldBack:
    """Return what an invalid config holds back of a command on the whole fleet, or on what it chose itself.

    Raises ConfigError for what holds back everything.
    """
    project = snapshot.project
    if project.blocking_problems:
        raise ConfigError([*project.problems, *snapshot.conflicts(named)])
    held, conflicts = project.held_back | snapshot.plan_input.held_back, list[Problem]()
    held |= frozenset(project.loaded.elsewhere)
    while True:  # one that is held back goes on as it runs, and may then be in the way of another one
        others = [
            instance
            for instance in project.specs
            if instance not in held and (named is None or instance in named)
        ]
        more = snapshot.conflicts(others)
        if not more:
            return HeldBack(held, (*project.problems, *conflicts))
        if project.fleet.strict_configs:
            raise ConfigError(more)
        conflicts += more
        held |= project.concerned(more)


def require_sound(snapshot: FleetSnapshot, named: list[str]) -> None:
    """Raise ConfigError if a named instance must not start because of its own config."""
    project = snapshot.project
    conflicts = snapshot.conflicts(named)
    files = {spec.config_file for instance, spec in project.specs.items() if instance in named}
    broken = snapshot.plan_input.held_back.intersection(named)  # their containers tell which file is broken
    files |= {snapshot.observed.containers[instance].config_file for instance in broken}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.state_file)})
    ] + conflicts
    if own:
        raise ConfigError(own)
    for instance in named:
        if instance not in {*snapshot.views, *project.loaded.elsewhere}:
            require_loaded(instance, project, snapshot.views)


def require_all_sound(snapshot: FleetSnapshot) -> None:
    """Raise ConfigError with every problem of the fleet."""
    if problems := [*snapshot.project.problems, *snapshot.conflicts(None)]:
        raise ConfigError(problems)


def require_config(instance: str, snapshot: FleetSnapshot) -> None:
    """Raise UsageError for an instance that has no config."""
    if instance in snapshot.project.loaded.elsewhere:
        raise pinned(instance, snapshot.project)
    if instance not in snapshot.plan_input.wanted:
        if instance not in snapshot.plan_input.containers:
            raise UsageError("{id} has neither a container nor a config any more", id=instance)
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )
