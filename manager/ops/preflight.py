"""Check what must hold before a command touches instances: valid configs, and no shared accounts."""

from __future__ import annotations

from manager.errors import ConfigError, UsageError
from manager.fleet.observe import FleetSnapshot


def require_sound(snapshot: FleetSnapshot, named: list[str] | None) -> None:
    """Raise ConfigError for what must not start.

    The whole fleet (`named` is None) requires all configs to be valid; a named instance only its own.
    """
    project = snapshot.project
    conflicts = snapshot.conflicts(named)
    if named is None:
        if problems := [*project.problems, *conflicts]:
            raise ConfigError(problems)
        return
    files = {spec.config_file for instance, spec in project.specs.items() if instance in named}
    broken = snapshot.plan_input.kept.intersection(named)  # their containers tell which file is broken
    files |= {snapshot.observed.containers[instance].config_file for instance in broken}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.state_file)})
    ] + conflicts
    if own or (project.problems and any(instance not in snapshot.views for instance in named)):
        raise ConfigError(own or project.problems)


def require_config(instance: str, snapshot: FleetSnapshot) -> None:
    """Raise UsageError for an instance that has a container and no config."""
    if instance not in snapshot.plan_input.wanted:
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )
