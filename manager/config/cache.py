"""Cache the loaded configs, so that `ps` need not parse them again.

The cache is in the user's cache folder and valid while no file of config/ has changed. It contains only what
may be shown: no spec holds the value of a credential. Losing it costs 0.1 s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from manager.config import settings_cache, verification
from manager.config.fleet import Fleet
from manager.config.loaded import LoadedConfigs, LoadedFile, resembles_config
from manager.config.settings_cache import stamp, with_tuples
from manager.config.spec import InstanceSpec, Variable
from manager.errors import Problem
from manager.i18n import Text
from manager.typed import Any
from manager.util import atomic_file, kept_content
from manager.util.kept_content import KeptContent


def read(project_dir: Path) -> tuple[Fleet, dict[str, str], LoadedConfigs] | None:
    """Return (fleet, ids, loaded) of an unchanged project folder, or None when it must be loaded.

    `ids`: config file → the id given by `--instance-id` when the configs were loaded.
    """
    try:
        read_at, known = _contents.of(str(settings_cache.path(project_dir)))
        return known if read_at == signature(project_dir) else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError):
        return None


def _read(path: str) -> tuple[list[Any], tuple[Fleet, dict[str, str], LoadedConfigs]]:
    content = json.loads(Path(path).read_bytes())
    fleet = settings_cache.fleet_from(content["fleet"])
    return content["signature"], (fleet, content["ids"], _loaded(content))


_contents = KeptContent(_read)


def write(fleet: Fleet, ids: Mapping[str, str], loaded: LoadedConfigs, read_at: list[Any]) -> None:
    """Cache the configs, if they mean the same regardless of the variables. Never raises.

    `read_at`: the signature taken before loading, so that a file saved meanwhile is read again.
    """
    if not all(file.is_constant for file in loaded.files):
        return
    content = {
        "signature": read_at,
        "fleet": settings_cache.plain(fleet),
        "ids": dict(ids),
        "files": [
            {
                **file._asdict(),
                "problems": _plain(file.problems),
                "warnings": _plain(file.warnings),
                "refusals": _plain(file.refusals),
            }
            for file in loaded.files
        ],
        "conflicts": _plain(loaded.conflicts),
        "ignored": _plain(loaded.ignored),
    }
    try:
        _write(settings_cache.path(fleet.project_dir), content)
    except (OSError, TypeError, ValueError, RuntimeError):
        return


def kept(path: Path, stamp: list[Any]) -> dict[str, Any] | None:
    """Return what was kept of a file's content, if the file still has this stamp."""
    try:
        content = json.loads(settings_cache.path(path).read_bytes())
        return dict(content["content"]) if content["stamp"] == [str(path), *stamp] else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def keep(path: Path, stamp: list[Any], content: Mapping[str, Any], read_at: int) -> None:
    """Keep a file's content; dates become text. Never raises.

    `stamp`: taken before it was read, and `read_at` before that, by `kept_content.file_time_ns`.
    """
    if abs(read_at - stamp[-1]) < kept_content.SETTLED_NS:
        return
    try:
        plain = json.loads(json.dumps(content, default=str))
        _write(settings_cache.path(path), {"stamp": [str(path), *stamp], "content": plain})
    except (OSError, TypeError, ValueError, RuntimeError):
        return


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.parent.mkdir(mode=0o700, exist_ok=True)  # no home folder is made: /nonexistent stays so
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # On one line, which takes a quarter of the time. After a power failure a damaged one is not used.
    atomic_file.replace_bytes(path, json.dumps(content).encode(), 0o600, durable=False)


def signature(project_dir: Path, configs: list[Any] | None = None) -> list[Any]:
    """Return a value that changes with each file that is read, this program, the machine's name and cores.

    `configs`: of the configs, if that is known.
    """
    stamps = [*settings_cache.signature(project_dir), stamp(verification.file())]
    return stamps + (of_configs(project_dir)[0] if configs is None else configs)


def of_configs(project_dir: Path) -> tuple[list[Any], bool]:
    """Return the part of it that changes with the configs, and whether one of them is a symlink."""
    try:
        with os.scandir(project_dir / "config" / "active") as entries:
            configs = [entry for entry in entries if resembles_config(entry.name)]
            return sorted(map(stamp, configs)), any(entry.is_symlink() for entry in configs)
    except OSError as error:
        return [error.errno], False  # a folder that cannot be read is another thing than none


def _loaded(raw: dict[str, Any]) -> LoadedConfigs:
    files = tuple(_file_of(file) for file in raw["files"])
    return LoadedConfigs(files, _problems(raw["conflicts"]), _problems(raw["ignored"]))


def _file_of(raw: dict[str, Any]) -> LoadedFile:
    spec, faults = raw["spec"], {name: _problems(raw[name]) for name in ("problems", "warnings", "refusals")}
    return LoadedFile(**{**raw, **faults, "spec": _spec(spec) if spec else None})


def _spec(raw: list[Any]) -> InstanceSpec:
    values = with_tuples(dict(zip(InstanceSpec._fields, raw, strict=True)))
    return InstanceSpec(
        **{**values, "variables": tuple(Variable(*variable) for variable in values["variables"])}
    )


def _problems(raw: list[list[Any]]) -> tuple[Problem, ...]:
    return tuple(Problem(file, path, _text(message, params)) for file, path, message, params in raw)


def _text(message: str, params: dict[str, Any]) -> Text:
    """Return a message; parameters that are messages themselves are lists."""
    return Text(
        message,
        **{name: _text(*value) if isinstance(value, list) else value for name, value in params.items()},
    )


def _plain(problems: Iterable[Problem]) -> list[list[Any]]:
    """Convert problems to plain data for `_problems`.

    A parameter that is not JSON prevents the cache from being written.
    """
    return [[file, path, *_plain_text(text)] for file, path, text in problems]


def _plain_text(text: Text) -> tuple[str, dict[str, Any]]:
    params = text.params.items()
    return text.message, {
        name: _plain_text(value) if isinstance(value, Text) else value for name, value in params
    }
