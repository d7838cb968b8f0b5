"""Find what configs of the old system would share with the fleet's or with each other. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from manager.config import loader
from manager.errors import Problem
from manager.fleet.project import Project
from manager.ops.migrate.inspect import ImportFacts, OldConfig


def added(facts: ImportFacts, project: Project, ids: Collection[str]) -> ImportFacts:
    """Return the facts with what new configs would share with the fleet's or with each other.

    `ids`: only these are imported; empty: all. Of two new ones, both are held back: only
    the user knows which of them is meant, and names it.
    """
    return facts._replace(configs=tuple(_with_conflicts(facts.configs, project, ids)))


def _with_conflicts(
    configs: Sequence[OldConfig], project: Project, ids: Collection[str]
) -> Iterator[OldConfig]:
    state = project.fleet_state
    present = [
        spec
        if spec.web_port is not None or (port := state.of(spec.id).web_port) is None
        else spec.with_port(port)
        for spec in project.loaded.specs
    ]
    coming = [config for config in configs if config.place == "free" and config.is_wanted(ids)]
    specs = [*present, *(config.loaded.spec for config in coming if config.loaded.spec)]
    sources = {config.target: str(config.source) for config in coming}
    problems = list(loader.conflicts(specs))
    for config in configs:
        own = [_in_source(fault, config, sources) for fault in problems if fault.concerns({config.target})]
        same_id = [problem for problem in own if problem.path == "metadata.instance_id"]
        is_coming = any(config is other for other in coming)
        yield config._replace(
            conflicts=tuple(same_id or own) if is_coming else ()
        )  # the same id implies the same folders and port


def _in_source(problem: Problem, config: OldConfig, sources: Mapping[str, str]) -> Problem:
    """Return a conflict with the old file's name in the place of the new one's."""
    is_own = problem.file == config.target
    return problem._replace(file=str(config.source) if is_own else sources.get(problem.file, problem.file))
