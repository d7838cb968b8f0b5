"""Run `config` and `config schema`: the resolved configs, and the rules they follow."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from itertools import chain
from typing import Any

from manager.cli import closing_table
from manager.cli.notices import say_problems
from manager.config import bundled_reads, dotenv, handover, reach, signing_libraries
from manager.config.spec import config_hash
from manager.errors import BAD_CONFIG, OK, Problem
from manager.fleet import bot_options_file
from manager.fleet.project import Project
from manager.fleet.selection import no_instance, pinned
from manager.fleet.session import Session
from manager.i18n import Text, mark
from manager.util import console

NOT_READ = mark(
    "the bundled bot does not get the variables that it does not read: {names}; if a library of it does, add"
    " the name to variables in config/fleet.toml. A bot of your own gets them all"
)


def config(session: Session, args: Namespace) -> int:
    """Print the configs with defaults resolved and without credentials; with --check, only validate them."""
    project = session.project()
    named = project.select(args.ids, args.config)
    for instance in named or ():
        if instance in project.loaded.elsewhere:
            raise pinned(instance, project)
        if instance not in project.specs and not project.unloaded(instance):
            raise no_instance(instance, project.specs)
    chosen = [instance for instance in project.specs if named is None or instance in named]
    if not args.check:
        console.say_json([_understood(project, instance) for instance in chosen])
    for warning in (*project.warnings_of(named), *(_unreached(project, chosen) if args.check else ())):
        console.warning(warning)
    say_problems(project, named)
    refusals = project.refusals_of(named)
    for refusal in refusals:
        console.error(refusal)
    lacking = list(bot_options_file.problems(project, chosen)) if args.check else []
    lacking += chain.from_iterable(project.unusable_keys(chosen).values()) if args.check else ()
    for problem in lacking:
        console.error(problem)
    if project.problems_of(named) or refusals or lacking:
        return BAD_CONFIG
    if args.check:
        console.say(Text("{count} configs are valid", count=len(chosen)))
    return OK


def _unreached(project: Project, chosen: list[str]) -> Iterator[Problem]:
    """Yield what the files have and no bot gets, and what a bot needs that no file can have."""
    known = {(warning.file, warning.path) for warning in project.warnings}
    for instance in chosen:
        file = project.specs[instance].config_file
        keys = reach.keys_unused(project.loaded.described(instance))
        if unknown := [key for key in keys if (file, key) not in known]:
            yield Problem.at(file, "", closing_table.UNUSED_KEYS, keys=", ".join(unknown))
        if unread := bundled_reads.unread_names(project.specs[instance].literals, project.fleet):
            yield Problem.at(file, "environment", NOT_READ, names=", ".join(unread))
    chosen_specs = [project.specs[instance] for instance in chosen]
    yield from signing_libraries.outside_of_config(chosen_specs, project.fleet)
    written = [name for name, value in dotenv.read(project.fleet.dotenv_file).variables.items() if value]
    specs = [loaded.spec for loaded in project.loaded.files if loaded.spec]
    if not project.loaded.broken_files and (names := reach.variables_unused(written, specs, project.fleet)):
        yield Problem.at(".env", "", closing_table.UNUSED_VARIABLES, names=", ".join(names))


def schema(session: Session, _args: Namespace) -> int:
    """Print the JSON Schema of a config, by the rules of this fleet's bot.

    Works even if configs are invalid.
    """
    from manager.config import fleet_settings  # pydantic, 0.1 s
    from manager.config.json_schema import config_schema

    fleet, _defaults = fleet_settings.load(session.project_dir())
    console.say_json(config_schema(is_bundled_bot=fleet.is_bundled_bot))
    return OK


def _understood(project: Project, instance: str) -> dict[str, Any]:
    spec = project.specs[instance]
    described = project.loaded.described(instance)
    return {
        "id": spec.id,
        "config_file": spec.config_file,
        "mode": spec.mode,
        "web_port": spec.web_port,
        "log_dir": spec.log_dir,
        "db_path": spec.db_path,
        "argv": list(spec.command),
        "variables": {
            variable.name: "set"
            if project.variables.get(variable.name)
            else "default"
            if variable.default
            else "unset"
            for variable in spec.variables
        },
        "literals": handover.literals(spec, project.variables),
        "config_hash": config_hash(spec, project.fleet),
        **described,
    }
