"""Read which options a bot of the user's own knows and requires, from what its `--help` prints. Pure."""

import re
from collections.abc import Iterable

from manager.typed import NamedTuple
from manager.util.late_pattern import late_pattern

OPTION = late_pattern(r"(?<![\w-])--[A-Za-z][\w-]*")
USAGE = late_pattern(r"usage:\s*(.*?)(?:\n\s*\n|\Z)", re.IGNORECASE | re.DOTALL)
OPTIONAL = late_pattern(r"\[[^\[\]]*\]|\([^()]*\|[^()]*\)")
"""What usage lines bracket: what may be left out, and groups of which any one will do."""


class BotOptions(NamedTuple):
    """Hold the options that a bot's help names; `required` are those that its usage line does not bracket."""

    known: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


def options_in(help_text: str) -> BotOptions:
    """Return the options of a help text in argparse's, click's or docopt's manner; none of any other."""
    known = frozenset(OPTION.findall(help_text))
    match = USAGE.search(help_text)
    usage = match[1] if match else ""
    while (shorter := OPTIONAL.sub(" ", usage)) != usage:
        usage = shorter
    return BotOptions(known, frozenset(OPTION.findall(usage)) & known)


def used_in(command: Iterable[str]) -> list[str]:
    """Return the options among a bot's arguments, each once."""
    return list(dict.fromkeys(word.partition("=")[0] for word in command if OPTION.match(word)))


def unknown_to(options: BotOptions, command: Iterable[str]) -> list[str]:
    """Return the options that a bot with this help does not name, not even as another one's beginning."""
    if not options.known:
        return []
    return [word for word in used_in(command) if not any(known.startswith(word) for known in options.known)]


def missing_from(options: BotOptions, command: Iterable[str]) -> list[str]:
    """Return the options that the bot requires and these arguments lack."""
    used = used_in(command)
    short = [word for word in used if word not in options.known]  # perhaps the beginning of one's name
    return sorted(
        name
        for name in options.required
        if name not in used and not any(name.startswith(word) for word in short)
    )
