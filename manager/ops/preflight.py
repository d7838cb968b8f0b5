"""What must be sound before a command touches instances: their configs, and the purses they share with what trades."""

from __future__ import annotations

from manager.errors import ConfigError, UsageError
from manager.fleet.observe import Survey
from manager.fleet.session import Context, show_warnings


def require_sound(context: Context, survey: Survey) -> None:
    """Everything must load before the whole fleet is touched; a named instance needs only its own file."""
    project = survey.project
    show_warnings(project)
    named = project.select(context.args.ids, context.args.config)
    beside = survey.beside(named)
    if named is None:
        if problems := [*project.problems, *beside]:
            raise ConfigError(problems)
        return
    files = {spec.config_file for each, spec in project.specs.items() if each in named}
    kept = survey.situation.kept.intersection(named)  # their containers tell which file is broken
    files |= {survey.observed.containers[each].config_file for each in kept}
    own = [
        problem
        for problem in project.problems
        if problem.concerns(files | {".env", str(project.fleet.memory_file)})
    ] + beside
    if own or (project.problems and any(each not in survey.views for each in named)):
        raise ConfigError(own or project.problems)


def require_config(instance: str, survey: Survey) -> None:
    """Raises UsageError for an instance of which only the container is left."""
    if instance not in survey.situation.wanted:
        raise UsageError(
            "{id} has no config any more; `manager down {id}` removes its container", id=instance
        )
