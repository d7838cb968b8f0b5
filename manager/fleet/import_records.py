"""state/.import/imports.json: from which folder of the old system each instance was taken over.

The old folder stays as it is, and its daemon could be started again: it is asked before such an instance is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.util import atomic_file, ownership, strict_json

SCHEMA = 1
MAX_BYTES = 16_000_000
FOLDER = ".import"
"""No instance can be called that: its id begins with a letter or a digit."""

Stamp = list[int]


class Import(NamedTuple):
    """One instance. Paths of the old folder: `folder` absolute, the others relative to it.

    `taken`: stamps of the database and its -wal as they were copied. `placed`: the stamp of the copy, until the config
    has followed it; so long the instance was never used, and a run that begins anew may replace it.
    """

    folder: str
    config_file: str
    log_dir: str
    taken: list[Stamp]
    placed: Stamp | None = None


def staging_dir(fleet: Fleet) -> Path:
    """Where copies are made before they get their names. The manager's own, as no bot's folder is."""
    return fleet.state_dir / FOLDER


def read(fleet: Fleet) -> dict[str, Import]:
    """Every instance that was imported. Raises ManagerError for a file that cannot be used."""
    path = _file(fleet)
    if not path.exists():
        return {}
    try:
        found: Any = strict_json.read(path, MAX_BYTES)
        return {each: Import(**values) for each, values in found["instances"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, AttributeError) as error:
        raise ManagerError(
            "{path} cannot be used: it says from where instances were imported; move it away only if no old daemon"
            " can run any more",
            path=path,
        ) from error


def save(fleet: Fleet, imports: Mapping[str, Import]) -> None:
    """Writes the file atomically. Raises OSError."""
    path = _file(fleet)
    ownership.make_folder(path.parent, 0o700)
    content = {each: imports[each]._asdict() for each in sorted(imports)}
    atomic_file.write_atomically(path, {"schema": SCHEMA, "instances": content})


def stamp(path: Path) -> Stamp | None:
    """What changes whenever a file is written to, and stays when it is renamed; None for no file."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def _file(fleet: Fleet) -> Path:
    return staging_dir(fleet) / "imports.json"
