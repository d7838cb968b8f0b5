"""Remember which options the user's own bot has, for `config --check` and `up`: its last build found them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from manager.config import bot_argv, bot_options
from manager.config.bot_options import BotOptions
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.errors import Problem
from manager.fleet.project import Project
from manager.typed import Any
from manager.util import atomic_file, ownership, strict_json


def save(fleet: Fleet, options: BotOptions) -> None:
    """Save them. What cannot be written is only not checked."""
    content = {name: sorted(names) for name, names in options._asdict().items()}
    with suppress(OSError):
        ownership.make_folder(fleet.state_dir)
        atomic_file.write_atomically(fleet.bot_options_file, content)
        ownership.give_to_folder_owner(fleet.bot_options_file)


def load(fleet: Fleet) -> BotOptions:
    """Return them; none if they are not known, or if the fleet runs the bundled bot again."""
    if fleet.is_bundled_bot:
        return BotOptions()
    try:
        content: Any = strict_json.read(fleet.bot_options_file)
        return BotOptions(*(frozenset(map(str, content[name])) for name in BotOptions._fields))
    except (strict_json.JsonFault, TypeError, KeyError, OSError):
        return BotOptions()


def problems(project: Project, instances: Iterable[str]) -> Iterator[Problem]:
    """Yield the configs that lack an option which the bot requires, with what would give it."""
    options = load(project.fleet)
    for instance in instances:
        spec = project.specs[instance]
        missing = bot_options.missing_from(options, spec.command)
        is_flat = bool(missing) and _has_bot_args(project.fleet.project_dir / spec.config_file)
        for option in missing:
            yield _lack(spec, option, is_flat=is_flat)


def _has_bot_args(path: Path) -> bool:
    from manager.config.flat_format import is_legacy  # with pydantic, which no other `up` needs

    try:
        content: Any = strict_json.read(path)
    except strict_json.JsonFault:
        return False
    return isinstance(content, dict) and (is_legacy(content) or content.get("bot_args") is not None)


def _lack(spec: InstanceSpec, option: str, *, is_flat: bool) -> Problem:
    if is_flat:
        return Problem.at(
            spec.config_file, "bot_args", "the bot requires {option}; add it here", option=option
        )
    if keys := bot_argv.keys_of_option(option, spec.strategy):
        return Problem.at(spec.config_file, keys[0], "the bot requires {option}; set this key", option=option)
    return Problem.at(
        spec.config_file,
        "",
        "the bot requires {option}, which no key of a config with sections becomes; a flat config can give it"
        " in bot_args",
        option=option,
    )
