"""What config/ meant when it was last read, so that `ps` need not parse it again.

Kept in the user's cache folder, valid while no file of config/ has changed. It holds what may be shown anyway: no value of
a credential is in a spec. Losing it costs a tenth of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from manager import __version__, jsonfile
from manager.definition import Loaded, LoadedFile
from manager.errors import Problem
from manager.fleet import Fleet
from manager.spec import InstanceSpec, Variable

PATHS = ("project_dir", "data_dir")


def read(project_dir: Path) -> tuple[Fleet, dict[str, str], Loaded] | None:
    """(fleet, ids, loaded) of an unchanged project folder; `ids` are those it was loaded with. None: load it."""
    try:
        found = json.loads(_file(project_dir).read_bytes())
        if found["signature"] != _signature(project_dir):
            return None
        return _fleet(found["fleet"]), found["ids"], _loaded(found["loaded"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(fleet: Fleet, ids: Mapping[str, str], loaded: Loaded) -> None:
    """Remembers it, if it means the same whatever the variables are. Never raises: it is only a cache."""
    if not all(each.is_constant for each in loaded.files):
        return
    path = _file(fleet.project_dir)
    content = {
        "signature": _signature(fleet.project_dir),
        "fleet": {**asdict(fleet), **{name: str(getattr(fleet, name)) for name in PATHS}},
        "ids": dict(ids),
        "loaded": asdict(loaded),
    }
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        jsonfile.write_atomically(path, content, mode=0o600)
    except (OSError, TypeError, ValueError):
        return


def _file(project_dir: Path) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "botfleet" / f"{hashlib.sha256(str(project_dir).encode()).hexdigest()[:32]}.json"


def _signature(project_dir: Path) -> list[Any]:
    """Changes with every file that is read, with this program, and with the cores that bound a CPU limit."""
    config = project_dir / "config"
    found: list[Any] = [__version__, os.cpu_count(), _stamp(config / "fleet.toml")]
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
    return Fleet(**{**_tuples(Fleet, raw), **{name: Path(raw[name]) for name in PATHS}})


def _loaded(raw: dict[str, Any]) -> Loaded:
    return Loaded(
        tuple(
            LoadedFile(
                file=each["file"],
                spec=_spec(each["spec"]) if each["spec"] else None,
                described=each["described"],
                problems=_problems(each["problems"]),
                warnings=_problems(each["warnings"]),
            )
            for each in raw["files"]
        ),
        _problems(raw["conflicts"]),
    )


def _spec(raw: dict[str, Any]) -> InstanceSpec:
    variables = tuple(Variable(**variable) for variable in raw["variables"])
    return InstanceSpec(**{**_tuples(InstanceSpec, raw), "variables": variables})


def _problems(raw: list[dict[str, Any]]) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            each["file"],
            each["path"],
            each["message"],
            tuple((name, value) for name, value in each["params"]),
        )
        for each in raw
    )


def _tuples(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples: every list that a dataclass of ours holds was one."""
    return {
        each.name: tuple(value) if isinstance(value := raw[each.name], list) else value
        for each in fields(kind)
    }
