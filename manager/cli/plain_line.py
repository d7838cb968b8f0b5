"""Read a usual command line without argparse, which takes longer to load and set up than such a line to read.

That is: a command on the fleet, its ids, and its options by their full names. Anything else, and whatever is
wrong, is left to the parsers, which are made of the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

from manager.cli.command_options import ANY_NUMBER, Option
from manager.cli.fleet_commands import FLEET_GROUPS
from manager.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

TAKING_ONE = (None, "append", "extend")
"""The actions of options with one value."""


def read(words: Sequence[str]) -> Namespace | None:
    """Return what argparse would return; None for a line that it must read."""
    name = words[0] if words else ""
    command = next((group[name] for group in FLEET_GROUPS.values() if name in group), None)
    if command is None or not all(map(_is_known, command.options)):
        return None
    by_flag = {flag: option for option in command.options for flag in option.flags}
    values: dict[str, Any] = {
        "project_dir": None,
        "lang": None,
        "host": None,
        "swarm": False,
        "command": name,
        "ids": [],
        "config": [],
        "instance_id": None,
        "function": command.function,
        **{_dest(option): _default(option) for option in command.options},
    }
    if not _read_into(values, words[1:], by_flag):
        return None
    args: Any = SimpleNamespace(**values)
    return args  # type: ignore[no-any-return]


def _read_into(values: dict[str, Any], words: Sequence[str], by_flag: Mapping[str, Option]) -> bool:
    """Set the values that the words give. Returns whether every word is understood."""
    rest, ids, is_after_ids = list(words), list[str](), False
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            if is_after_ids or "ids" not in by_flag:
                return False
            ids.append(word)
            continue
        is_after_ids = bool(ids)
        option = by_flag.get(word)
        if option is None:
            return False
        if option.keywords.get("action") == "store_true":
            values[_dest(option)] = True
            continue
        if not _takes_one(option) or not rest or rest[0].startswith("-"):
            return False
        try:
            value = _typed(option, rest.pop(0))
        except Exception:  # noqa: BLE001 - argparse finds the same, and says it
            return False
        if value not in option.keywords.get("choices", (value,)):
            return False
        name, action = _dest(option), option.keywords.get("action")
        values[name] = [*values[name], *([value] if action == "append" else value)] if action else value
    values["ids"] = ids
    return True


def _is_known(option: Option) -> bool:
    """Return whether it is an option of a kind that is read here, or the ids."""
    is_ids = option.flags == ("ids",) and option.keywords.get("nargs") == ANY_NUMBER
    return is_ids or option.flags[0].startswith("-")


def _takes_one(option: Option) -> bool:
    return "nargs" not in option.keywords and option.keywords.get("action") in TAKING_ONE


def _dest(option: Option) -> str:
    """Return the name of its value."""
    long = next((flag for flag in option.flags if flag.startswith("--")), option.flags[0])
    return str(option.keywords.get("dest") or long.lstrip("-").replace("-", "_"))


def _default(option: Option) -> Any:
    if option.keywords.get("action") == "store_true":
        return False
    default = option.keywords.get("default", [] if option.flags == ("ids",) else None)
    return _typed(option, default) if isinstance(default, str) else default


def _typed(option: Option, text: str) -> Any:
    of: Callable[[str], Any] = option.keywords.get("type", str)
    return of(text)
