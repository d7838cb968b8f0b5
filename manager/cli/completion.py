"""Complete command lines for shells. It runs at every TAB, so it must be fast: no engine, no validator.

A shell calls `manager __complete WORD…` with the words before the cursor, the last one incomplete. The answer
has one candidate per line, `WORD<TAB>description`; the line `:files` makes the shell complete paths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from manager import i18n
from manager.cli import argument_types
from manager.cli.command_table import COMMANDS
from manager.config.loaded import is_config
from manager.errors import ManagerError
from manager.fleet import project_folder
from manager.i18n import _
from manager.util import strict_json

FILES = ":files"
PATH_METAVARS = frozenset({"FILE", "DIR", "FILES"})
MOST_FILES = 2000

Offer = tuple[str, str]

GLOBAL_OPTIONS = ("--project-dir", "--lang", "--host", "--swarm", "--version", "--help")
VALUED = ("--project-dir", "--lang", "--host")
"""Those of them that a value follows."""

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
# manager, in zsh: eval "$(manager completion zsh)" in ~/.zshrc, after compinit; or a file _manager in a
# folder of $fpath
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
    """Return all candidates, one per line.

    Errors in the project are ignored, because a TAB must not print them.
    """
    *before, current = words or [""]
    candidates = offers([word for word in before if word != "="], "" if current == "=" else current)
    return "".join(f"{word}\t{text}\n" if text else f"{word}\n" for word, text in candidates)


def offers(before: Sequence[str], current: str) -> list[Offer]:
    """Return the candidates for `current`, after the words before it."""
    project_dir, rest = _project_dir(before)
    if rest is None:
        if before[-1] == "--host":
            return _beginning(((name, "") for name in _hosts(project_dir)), current)
        return [(FILES, "")] if before[-1] == "--project-dir" else _beginning(_languages(), current)
    name, rest = _command(rest)
    if name not in COMMANDS:
        return _beginning([*_commands(name), *((flag, "") for flag in GLOBAL_OPTIONS if not name)], current)
    both = _beginning(_commands(name), current) if not rest else []
    return [*both, *_of_command(name, rest, current, project_dir)]


def ids(project_dir: Path | None) -> list[str]:
    """Return the instances in the config files and the state folder, without asking the engine."""
    try:
        folder = project_folder.chosen(project_dir)
    except ManagerError:
        return []
    instances = {_id_of(path) for path in _listed(folder / "config" / "active") if is_config(path.name)}
    instances |= {
        path.name for path in _listed(_data_dir(folder) / "state") if path.name[0] != "." and path.is_dir()
    }
    return sorted(instances)


def _hosts(project_dir: Path | None) -> list[str]:
    """Return the names of config/hosts.toml."""
    from manager.ops.hosts import registry

    try:
        return list(registry.load(project_folder.chosen(project_dir)))
    except ManagerError:
        return []


def _project_dir(before: Sequence[str]) -> tuple[Path | None, list[str] | None]:
    """Return (the project folder given, the words after the global options; None if an option lacks its
    value).
    """
    folder, rest = None, list(before)
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option not in VALUED:
            continue
        if not equals:
            if not rest:
                return folder, None
            value = rest.pop(0)
        folder = Path(value) if option == "--project-dir" else folder
    return folder, rest


def _command(rest: list[str]) -> tuple[str, list[str]]:
    """Return the command's name and the words after it; of a command of two words possibly only the first."""
    two = " ".join(rest[:2])
    if two in COMMANDS:
        return two, rest[2:]
    return (rest[0], rest[1:]) if rest else ("", [])


def _commands(first: str) -> Iterator[Offer]:
    """Return the commands, or the second words of those that begin with `first`."""
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
    positional = next((action for action in actions if not action.option_strings), None)
    if positional is None or (positional.nargs is None and any(not word.startswith("-") for word in rest)):
        return []
    taken = set(rest)
    return [offer for offer in _values(positional, current, project_dir) if offer[0] not in taken]


def _actions(name: str) -> list[argparse.Action]:
    """Return the options and arguments of a command, as its parser has them."""
    command = argparse.ArgumentParser(add_help=False)
    for option in COMMANDS[name].options:
        option.add_to(command)
    command.add_argument("--help", action="store_true", help=_("show this help message and exit"))
    return command._actions


def _taking_value(actions: Sequence[argparse.Action], word: str) -> argparse.Action | None:
    """Return the option of this name, if a value must follow it."""
    return next(
        (action for action in actions if word in action.option_strings and action.nargs in (None, 1)), None
    )


def _values(action: argparse.Action, current: str, project_dir: Path | None) -> list[Offer]:
    """Return the candidates for the value of an option or argument."""
    if action.metavar == "ID":
        return _beginning(((instance, "") for instance in ids(project_dir)), current)
    if action.metavar == "HOST":
        return _beginning(((name, "") for name in _hosts(project_dir)), current)
    if action.metavar in PATH_METAVARS:
        return [(FILES, "")]
    if action.metavar == "STATE":
        return _beginning(((state, _(state)) for state in argument_types.all_states()), current)
    if action.metavar == "FORMAT":
        from manager.util import drawn_table  # tabulate: 60 ms, where nothing else is offered

        return _beginning(((style, "") for style in drawn_table.formats()), current)
    if action.metavar == "COLUMNS":
        from manager.monitor.stats import figure_columns

        before = current[: current.rfind(",") + 1]
        return _beginning(((before + name, "") for name in figure_columns.ALL), current)
    if action.metavar == "LANG":
        return _beginning(_languages(), current)
    return _beginning(((str(choice), "") for choice in action.choices or ()), current)


def _languages() -> list[Offer]:
    return [(tag, "") for tag in i18n.LANGUAGES]


def _beginning(candidates: Iterable[Offer], current: str) -> list[Offer]:
    return list(dict(offer for offer in candidates if offer[0].startswith(current)).items())


def _id_of(path: Path) -> str:
    """Return a config file's instance id; its file name if it cannot be read."""
    try:
        name = json.loads(strict_json.read_bytes(path, strict_json.MAX_BYTES))["metadata"]["instance_id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return path.stem
    return name if isinstance(name, str) and name.isprintable() else path.stem


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
