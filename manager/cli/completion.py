"""What the shell offers behind `manager …` at a TAB: asked anew each time, so it must be quick. No engine, no validator.

A shell asks `manager __complete WORD…`, the words before the cursor, the last of them the one that is being written. The answer
is a line an offer, `WORD<TAB>what it is`; the line `:files` leaves it to the shell to offer paths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from manager import i18n
from manager.cli import argument_types
from manager.cli.command_table import COMMANDS
from manager.errors import ManagerError
from manager.fleet import project
from manager.i18n import _
from manager.util import strict_json

FILES = ":files"
PATH_METAVARS = frozenset({"FILE", "DIR", "FILES"})
MOST_FILES = 2000

Offer = tuple[str, str]

GLOBAL_OPTIONS = ("--project-dir", "--lang", "--version", "--help")

SCRIPTS = {
    "bash": """\
# manager, in bash: eval "$(manager completion bash)", for instance in ~/.bashrc
_manager() {
    local IFS=$'\\n' offer
    COMPREPLY=()
    while read -r offer; do
        if [ "$offer" = :files ]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        else
            COMPREPLY+=("${offer%%$'\\t'*}")
        fi
    done < <("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _manager manager
""",
    "zsh": """\
#compdef manager
# manager, in zsh: eval "$(manager completion zsh)" in ~/.zshrc, after compinit; or a file _manager in a folder of $fpath
_manager() {
    local offer
    local -a offers
    for offer in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $offer == :files ]]; then
            _files
        elif [[ -n $offer ]]; then
            offers+=("${${offer%%$'\\t'*}//:/\\\\:}:${offer#*$'\\t'}")
        fi
    done
    (( ${#offers} )) && _describe manager offers
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _manager "$@"
else
    compdef _manager manager
fi
""",
    "fish": """\
# manager, in fish: manager completion fish | source, for instance in ~/.config/fish/config.fish
function __manager_offers
    set -l words (commandline -opc) (commandline -ct)
    for offer in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$offer" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $offer
        end
    end
end
complete -c manager -f -a '(__manager_offers)'
""",
}


def answer(words: Sequence[str]) -> str:
    """All offers, a line each. Whatever is wrong with the project, there is no complaint in the middle of a TAB."""
    *before, current = words or [""]
    found = offers([each for each in before if each != "="], "" if current == "=" else current)
    return "".join(f"{word}\t{text}\n" if text else f"{word}\n" for word, text in found)


def offers(before: Sequence[str], current: str) -> list[Offer]:
    """What may stand where `current` is being written, after the words before it."""
    project_dir, rest = _project_dir(before)
    if rest is None:
        return [(FILES, "")] if before[-1] == "--project-dir" else _beginning(_languages(), current)
    name, rest = _command(rest)
    if name not in COMMANDS:
        return _beginning([*_commands(name), *((each, "") for each in GLOBAL_OPTIONS if not name)], current)
    both = _beginning(_commands(name), current) if not rest else []
    return [*both, *_of_command(name, rest, current, project_dir)]


def ids(project_dir: Path | None) -> list[str]:
    """The instances that the config files and the state folder know of, without asking anybody."""
    try:
        folder = project.find(Path.cwd()) if project_dir is None else project.at(project_dir)
    except ManagerError:
        return []
    found = {_id_of(path) for path in _listed(folder / "config" / "active") if path.suffix == ".json"}
    found |= {
        path.name for path in _listed(_data_dir(folder) / "state") if path.name[0] != "." and path.is_dir()
    }
    return sorted(found)


def _project_dir(before: Sequence[str]) -> tuple[Path | None, list[str] | None]:
    """(the folder named, the words behind the options that stand before the command; None in the middle of one)."""
    folder, rest = None, list(before)
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option not in {"--project-dir", "--lang"}:
            continue
        if not equals:
            if not rest:
                return folder, None
            value = rest.pop(0)
        folder = Path(value) if option == "--project-dir" else folder
    return folder, rest


def _command(rest: list[str]) -> tuple[str, list[str]]:
    """The command's name and what stands behind it; a half one (`config` of `config schema`) as far as it goes."""
    two = " ".join(rest[:2])
    if two in COMMANDS:
        return two, rest[2:]
    return (rest[0], rest[1:]) if rest else ("", [])


def _commands(first: str) -> Iterator[Offer]:
    """The commands, or the second words of those that begin with `first`."""
    for name, command in COMMANDS.items():
        head, _space, tail = name.partition(" ")
        if not first:
            yield head, _(command.text) if not tail else ""
        elif head == first and tail:
            yield tail, _(command.text)


def _of_command(name: str, rest: Sequence[str], current: str, project_dir: Path | None) -> list[Offer]:
    actions = _actions(name)
    if rest and (action := _taking_value(actions, rest[-1])):
        return _values(action, current, project_dir)
    if current.startswith("-"):
        offered = [
            (flag, action.help or "")
            for action in actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        return _beginning(offered, current)
    positional = next((each for each in actions if not each.option_strings), None)
    if positional is None or (positional.nargs is None and any(not each.startswith("-") for each in rest)):
        return []
    taken = set(rest)
    return [each for each in _values(positional, current, project_dir) if each[0] not in taken]


def _actions(name: str) -> list[argparse.Action]:
    """The options and arguments of a command, as its parser has them."""
    command = argparse.ArgumentParser(add_help=False)
    for add in COMMANDS[name].options:
        add(command)
    command.add_argument("--help", action="store_true", help=_("show this help message and exit"))
    return command._actions


def _taking_value(actions: Sequence[argparse.Action], word: str) -> argparse.Action | None:
    """The option that the word is, if a value must follow it."""
    return next((each for each in actions if word in each.option_strings and each.nargs in (None, 1)), None)


def _values(action: argparse.Action, current: str, project_dir: Path | None) -> list[Offer]:
    """What an option or argument takes, as far as that can be known."""
    if action.metavar == "ID":
        return _beginning(((each, "") for each in ids(project_dir)), current)
    if action.metavar in PATH_METAVARS:
        return [(FILES, "")]
    if action.metavar == "STATE":
        return _beginning(((each, _(each)) for each in argument_types.all_states()), current)
    if action.metavar == "FORMAT":
        from manager.util import drawn_table  # tabulate: 60 ms, where nothing else is offered

        return _beginning(((each, "") for each in drawn_table.formats()), current)
    if action.metavar == "LANG":
        return _beginning(_languages(), current)
    return _beginning(((str(each), "") for each in action.choices or ()), current)


def _languages() -> list[Offer]:
    return [(each, "") for each in i18n.LANGUAGES]


def _beginning(found: Iterable[Offer], current: str) -> list[Offer]:
    return list(dict(each for each in found if each[0].startswith(current)).items())


def _id_of(path: Path) -> str:
    """What a config file calls its instance; its name where it cannot be read."""
    try:
        found = json.loads(strict_json.read_bytes(path, strict_json.MAX_BYTES))["metadata"]["instance_id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return path.stem
    return found if isinstance(found, str) and found.isprintable() else path.stem


def _data_dir(folder: Path) -> Path:
    import tomllib

    try:
        return folder / str(
            tomllib.loads((folder / "config" / "fleet.toml").read_text()).get("data_dir", "volumes")
        )
    except (OSError, ValueError):
        return folder / "volumes"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:MOST_FILES]
    except OSError:
        return []
