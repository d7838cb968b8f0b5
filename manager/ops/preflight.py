"""What must be sound before a command touches instances: their configs, and the purses they share with what trades."""

from __future__ import annotations

from manager.errors import ConfigError, UsageError
from manager.fleet.observe import FleetSnapshot
from manager.fleet.session import Session, show_warnings


def require_sound(session: Session, snapshot: FleetSnapshot) -> None:
    """Everything must load before the whole fleet is touched; a named instance needs only its own file."""
    project = snapshot.project
    show_warnings(project)
    named = project.select(session.args.ids, session.args.config)
    beside = snapshot.beside(named)
    if named is None:
        if problems := [*project.problems, *beside]:
            raise ConfigError(problems)
        return
    files = {spec.config_file for each, spec in project.specs.items() if each in named}
    kept = snapshot.plan_input.kept.intersection(named)  # their containers tell which file is broken
    files |= {snapshot.observed.containers[each].config_file for each in kept}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.state_file)})
    ] + beside
    if own or (project.problems and any(each not in snapshot.views for each in named)):
        raise ConfigError(own or project.problems)


def require_config(instance: str, snapshot: FleetSnapshot) -> None:
    """Raises UsageError for an instance of which only the container is left."""
    if instance not in snapshot.plan_input.wanted:
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )
