"""Remember which options the user's own bot has, as its last build found them, for `config --check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from manager.config import bot_options
from manager.config.bot_options import BotOptions
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.errors import Problem
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


def problems(specs: Iterable[InstanceSpec], fleet: Fleet) -> Iterator[Problem]:
    """Yield the configs that lack an option which the bot requires."""
    options = load(fleet)
    for spec in specs:
        if missing := bot_options.missing_from(options, spec.command):
            yield Problem.at(
                spec.config_file,
                "bot_args",
                "the bot requires {options}, which this config does not give: only a flat config's bot_args"
                " can",
                options=", ".join(missing),
            )
