"""Find what configs of the old system would share with the fleet's or with each other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from manager.config import bot_environment, loader
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.config.variables import merge_environment, references
from manager.errors import Problem
from manager.fleet.project import Project
from manager.ops.migrate.inspect import ImportFacts, OldConfig


def added(facts: ImportFacts, project: Project, ids: Collection[str]) -> ImportFacts:
    """Return the facts with what new configs would share with the fleet's or with each other.

    `ids`: only these are imported; empty: all. Of two new ones, both are held back: only
    the user knows which of them is meant, and names it.
    """
    return facts._replace(configs=tuple(_with_conflicts(facts, project, ids)))


def _with_conflicts(facts: ImportFacts, project: Project, ids: Collection[str]) -> Iterator[OldConfig]:
    state, configs = project.fleet_state, facts.configs
    present = [
        spec
        if spec.web_port is not None or (port := state.of(spec.id).web_port) is None
        else spec.with_port(port)
        for spec in project.loaded.specs
    ]
    coming = [config for config in configs if config.place == "free" and config.is_wanted(ids)]
    specs = [*present, *(config.loaded.spec for config in coming if config.loaded.spec)]
    sources = {config.target: str(config.source) for config in coming}
    shared = _on_one_account(specs, facts, project.fleet)
    problems = list(loader.conflicts(specs))
    for config in configs:
        own = [_in_source(fault, config, sources) for fault in problems if fault.concerns({config.target})]
        same_id = [problem for problem in own if problem.path == "metadata.instance_id"]
        is_coming = any(config is other for other in coming)
        yield config._replace(
            conflicts=tuple(same_id or own) if is_coming else (),
            account_of=shared.get(config.target, "") if is_coming else "",
        )  # the same id implies the same folders and port


def _on_one_account(specs: Sequence[InstanceSpec], facts: ImportFacts, fleet: Fleet) -> dict[str, str]:
    """Return config file → another one that trades the same symbol with the same credentials.

    The old system had no mode: each counts as live. Values of the old `.env` count, though they may not be
    copied.
    """
    if fleet.allow_shared_credentials:
        return {}
    known = merge_environment({**facts.variables.old, **facts.variables.own}, os.environ)
    accounts = [(spec.config_file, _account(spec, fleet, known)) for spec in specs]
    return {
        file: other
        for file, mine in accounts
        for other, theirs in accounts
        if other != file and (bot_environment.is_same(mine, theirs) or bot_environment.is_same(theirs, mine))
    }


def _account(spec: InstanceSpec, fleet: Fleet, known: Mapping[str, str]) -> bot_environment.Account:
    """Return what an instance would trade on. A variable without a value stands for itself."""
    names = {variable.name for variable in spec.variables}
    names |= {name for text in spec.literals.values() for name, _default in references(text)}
    unset = {name: f"${name}" for name in names if not known.get(name)}
    return bot_environment.account_of(spec._replace(mode="live"), fleet, {**known, **unset})


def _in_source(problem: Problem, config: OldConfig, sources: Mapping[str, str]) -> Problem:
    """Return a conflict with the old file's name in the place of the new one's."""
    is_own = problem.file == config.target
    return problem._replace(file=str(config.source) if is_own else sources.get(problem.file, problem.file))
