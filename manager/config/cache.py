"""What config/ meant when it was last read, so that `ps` need not parse it again.

Kept in the user's cache folder, valid while no file of config/ has changed. It holds what may be shown anyway: no value of
a credential is in a spec. Losing it costs a tenth of a second.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from manager import __version__
from manager.config.fleet import Alerts, Fleet
from manager.config.loaded import Loaded, LoadedFile
from manager.config.spec import InstanceSpec, Variable
from manager.errors import Problem
from manager.i18n import Text
from manager.util import atomic_file

RULES = (
    "bot_argv.py",
    "models.py",
    "variables.py",
    "flat_format.py",
    "loader.py",
    "fleet_settings.py",
    "spec.py",
)
"""Our own files that decide what a config means: an update must not go on with what the old rules made of it."""

PATHS = ("project_dir", "data_dir")


def read(project_dir: Path) -> tuple[Fleet, dict[str, str], Loaded] | None:
    """(fleet, ids, loaded) of an unchanged project folder; `ids` are those it was loaded with. None: load it."""
    try:
        found = json.loads(_file(project_dir).read_bytes())
        if found["signature"] != signature(project_dir):
            return None
        return _fleet(found["fleet"]), found["ids"], _loaded(found)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def write(fleet: Fleet, ids: Mapping[str, str], loaded: Loaded, read_at: list[Any]) -> None:
    """Remembers it, if it means the same whatever the variables are. Never raises: it is only a cache.

    `read_at`: the signature from before it was loaded, so that a file saved meanwhile is read again.
    """
    if not all(each.is_constant for each in loaded.files):
        return
    content = {
        "signature": read_at,
        "fleet": {**fleet._asdict(), **{name: str(getattr(fleet, name)) for name in PATHS}},
        "ids": dict(ids),
        "files": [
            {
                **each._asdict(),
                "problems": _plain(each.problems),
                "warnings": _plain(each.warnings),
            }
            for each in loaded.files
        ],
        "conflicts": _plain(loaded.conflicts),
    }
    try:
        path = _file(fleet.project_dir)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_file.write_atomically(path, content, mode=0o600)
    except (OSError, TypeError, ValueError, RuntimeError):
        return


def _file(project_dir: Path) -> Path:
    """Raises RuntimeError for a user without a home folder. Two folders that should share a file only load their configs again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "botfleet" / f"{project_dir.name}-{zlib.crc32(os.fsencode(project_dir)):08x}.json"


def signature(project_dir: Path) -> list[Any]:
    """Changes with every file that is read, with this program, and with the cores that bound a CPU limit."""
    config = project_dir / "config"
    rules = [_stamp(Path(__file__).with_name(name)) for name in RULES]
    found: list[Any] = [__version__, rules, os.cpu_count(), _stamp(config / "fleet.toml")]
    try:
        with os.scandir(config / "active") as entries:
            found += sorted(_stamp(entry) for entry in entries if entry.name.endswith(".json"))
    except OSError:
        found.append(None)
    return found


def _stamp(path: Path | os.DirEntry[str]) -> list[Any]:
    try:
        stat = path.stat()
    except OSError:
        return [path.name]
    return [path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _fleet(raw: dict[str, Any]) -> Fleet:
    first, *others = raw["alerts"]
    alerts = Alerts(tuple(first), *others)
    return Fleet(**{**_with_tuples(raw), **{name: Path(raw[name]) for name in PATHS}, "alerts": alerts})


def _loaded(raw: dict[str, Any]) -> Loaded:
    return Loaded(tuple(_file_of(each) for each in raw["files"]), _problems(raw["conflicts"]))


def _file_of(raw: dict[str, Any]) -> LoadedFile:
    spec, faults = raw["spec"], {name: _problems(raw[name]) for name in ("problems", "warnings")}
    return LoadedFile(**{**raw, **faults, "spec": _spec(spec) if spec else None})


def _spec(raw: list[Any]) -> InstanceSpec:
    values = _with_tuples(dict(zip(InstanceSpec._fields, raw, strict=True)))
    return InstanceSpec(**{**values, "variables": tuple(Variable(*each) for each in values["variables"])})


def _problems(raw: list[list[Any]]) -> tuple[Problem, ...]:
    return tuple(Problem(file, path, Text(message, **params)) for file, path, message, params in raw)


def _plain(problems: Iterable[Problem]) -> list[list[Any]]:
    """Return problems as `_problems` reads them back. A parameter that is no plain data keeps the cache from being written."""
    return [[file, path, text.message, text.params] for file, path, text in problems]


def _with_tuples(raw: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples: every list in plain data of ours was one."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
