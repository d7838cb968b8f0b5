"""What must be sound before a command touches instances: their configs, and the accounts they share with what trades."""

from __future__ import annotations

from manager.errors import ConfigError, UsageError
from manager.fleet.observe import FleetSnapshot


def require_sound(snapshot: FleetSnapshot, named: list[str] | None) -> None:
    """Raise ConfigError for what must not start.

    Everything must load before the whole fleet is touched (`named` is None); a named instance needs only its own file.
    """
    project = snapshot.project
    beside = snapshot.beside(named)
    if named is None:
        if problems := [*project.problems, *beside]:
            raise ConfigError(problems)
        return
    files = {spec.config_file for instance, spec in project.specs.items() if instance in named}
    kept = snapshot.plan_input.kept.intersection(named)  # their containers tell which file is broken
    files |= {snapshot.observed.containers[instance].config_file for instance in kept}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.state_file)})
    ] + beside
    if own or (project.problems and any(instance not in snapshot.views for instance in named)):
        raise ConfigError(own or project.problems)


def require_config(instance: str, snapshot: FleetSnapshot) -> None:
    """Raise UsageError for an instance of which only the container is left."""
    if instance not in snapshot.plan_input.wanted:
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )
