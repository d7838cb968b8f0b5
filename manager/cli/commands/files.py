"""`compose`, `config`, `build`: what is made from the configs besides containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manager.cli.commands.show import no_instance
from manager.config.spec import config_hash
from manager.engine import compose_file
from manager.errors import BAD_CONFIG, OK, writing_to
from manager.fleet import lock
from manager.fleet.observe import Survey
from manager.fleet.project import Project
from manager.fleet.session import Context, show_problems, show_warnings
from manager.i18n import Text, _
from manager.ops import bot_user, desired_state, instance_folders
from manager.util import console


def compose(context: Context) -> int:
    """Renders compose.yaml, and makes what its containers mount."""
    project = context.project()
    project.require_sound()
    fleet = project.fleet
    if context.args.stdout:
        console.say(compose_file.render(project.specs.values(), fleet), end="")
        return OK
    with lock.held(fleet.lock_file, "compose", context.args.lock_wait):
        survey = context.survey()
        survey.require_ours()
        survey.project.require_sound()
        _remember_ports(survey)
        _prepare(context, survey)
        path, text = fleet.compose_file, compose_file.render(survey.project.specs.values(), fleet)
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            _write(path, text)
    name = fleet.relative(path)
    console.say(f"{name}: {_('written') if changed else _('up to date')}")
    return OK


def config(context: Context) -> int:
    """The configs as they are understood, without any credential; or, with --check, only whether they are sound."""
    project = context.project()
    named = project.select(context.args.ids, context.args.config)
    for each in named or ():
        if (
            each not in project.specs and not project.problems
        ):  # else its file may be one that cannot be loaded
            raise no_instance(each, project.specs)
    chosen = [each for each in project.specs if named is None or each in named]
    if not context.args.check:
        console.say_json([_understood(project, each) for each in chosen])
    show_warnings(project)
    show_problems(project)
    if project.problems:
        return BAD_CONFIG
    if context.args.check:
        console.say(Text("{count} configs are sound", count=len(project.specs)))
    return OK


def schema(context: Context) -> int:
    """The JSON Schema of a config, by the rules of this fleet's bot. Works while configs are broken."""
    from manager.config import fleet_settings  # pydantic, 0.1 s
    from manager.config.json_schema import config_schema

    fleet, _defaults = fleet_settings.load(context.project_dir())
    console.say_json(config_schema(is_bundled_bot=fleet.is_bundled_bot))
    return OK


def build(context: Context) -> int:
    """Builds the bot image."""
    from manager.engine.image_build import build_image

    fleet = context.project().fleet
    bot = context.args.bot or (fleet.project_dir / fleet.bot_dir if fleet.bot_dir else None)
    image = build_image(
        fleet.project_dir,
        tag=context.args.tag or fleet.image_name,
        bot_dir=Path(bot) if bot else None,
        no_cache=context.args.no_cache,
        say=console.say,
    )
    console.say(image)
    return OK


def _remember_ports(survey: Survey) -> None:
    """The ports that stand in the file are the instances' from now on, as after `up`."""
    project = survey.project
    ports = {each: spec.web_port for each, spec in project.specs.items() if spec.web_port is not None}
    desired_state.remember(survey, project.memory.with_ports(ports))


def _prepare(context: Context, survey: Survey) -> None:
    """Folders and env files. A running bot keeps its env file: only a restart may bring it new values."""
    project, containers = survey.project, survey.observed.containers
    user = bot_user.bot_user(project.fleet, project.variables, context.engine())
    bot_user.remembered(project.fleet, project.variables, user)
    for each, spec in project.specs.items():
        instance_folders.prepare(spec, project.fleet, user.owner)
        if each not in containers or not containers[each].is_up:
            instance_folders.write_env(spec, project.fleet, user.owner, survey.env_values[each])


def _write(path: Path, text: str) -> None:
    from manager.util.strict_json import replace_bytes

    with writing_to(path):
        replace_bytes(path, text.encode(), 0o644)


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
        "config_hash": config_hash(spec, project.fleet),
        **described,
    }
