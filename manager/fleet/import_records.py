"""Record in state/.import/imports.json from which old folder each instance was imported.

The old folder is kept, and its daemon could be started again: it is checked before such an instance is
started.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError, writing_to
from manager.typed import Any, NamedTuple
from manager.util import atomic_file, ownership, strict_json

SCHEMA = 1
MAX_BYTES = 16_000_000
FOLDER = ".import"
"""Not a valid id, which begins with a letter or a digit."""

Stamp = list[int]


class Import(NamedTuple):
    """Record one imported instance. `folder` is absolute, the other paths are relative to it.

    `taken`: stamps of the database and its -wal when they were copied. `placed`: the stamp of the copy, until
    the config is copied too; until then the instance was never used, and a new import may replace it.
    """

    folder: str
    config_file: str
    log_dir: str
    taken: list[Stamp]
    placed: Stamp | None = None


def staging_dir(fleet: Fleet) -> Path:
    """Return the folder for unfinished copies. It belongs to the manager, unlike the bots' folders."""
    return fleet.state_dir / FOLDER


def read(fleet: Fleet) -> dict[str, Import]:
    """Return every imported instance. Raises ManagerError if the file cannot be used."""
    path = _file(fleet)
    if not path.exists():
        return {}
    try:
        content: Any = strict_json.read(path, MAX_BYTES)
        return {instance: Import(**values) for instance, values in content["instances"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, AttributeError) as error:
        raise ManagerError(
            "cannot use {path}, the record of where instances were imported from; move it away only if no"
            " old daemon can run any more",
            path=path,
        ) from error


def save(fleet: Fleet, imports: Mapping[str, Import]) -> None:
    """Write the file atomically. Raises OSError."""
    path = _file(fleet)
    ownership.make_folder(path.parent, 0o700)
    content = {instance: imports[instance]._asdict() for instance in sorted(imports)}
    atomic_file.write_atomically(path, {"schema": SCHEMA, "instances": content})


def stamp(path: Path) -> Stamp | None:
    """Return what changes with every write to a file, but not when it is renamed; None if there is no
    file.
    """
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def stopped(fleet: Fleet, folder: Path) -> frozenset[str]:
    """Return what imports of this old folder have stopped there, and have not come to the end of."""
    return frozenset(_read_stopped(fleet).get(str(folder), ()))


def note_stopped(fleet: Fleet, folder: Path, instances: Iterable[str]) -> None:
    """Note what an import is about to stop: nothing else would tell the next one that it ran.

    Raises ManagerError.
    """
    noted = _read_stopped(fleet)
    _save_stopped(fleet, {**noted, str(folder): sorted({*noted.get(str(folder), ()), *instances})})


def forget_stopped(fleet: Fleet, folder: Path, instance: str) -> None:
    """Remove the note of an instance whose import has come to its end. Raises ManagerError."""
    noted = _read_stopped(fleet)
    left = [other for other in noted.get(str(folder), ()) if other != instance]
    if left != noted.get(str(folder), []):
        _save_stopped(fleet, {**noted, str(folder): left})


def _read_stopped(fleet: Fleet) -> dict[str, list[str]]:
    """Return folder → instances; nothing if the file is damaged."""
    try:
        content: Any = strict_json.read(_stopped_file(fleet), MAX_BYTES)
        return {str(folder): [str(name) for name in names] for folder, names in content["folders"].items()}
    except (strict_json.JsonFault, TypeError, KeyError, AttributeError):
        return {}


def _save_stopped(fleet: Fleet, noted: Mapping[str, Sequence[str]]) -> None:
    path, folders = _stopped_file(fleet), {folder: names for folder, names in noted.items() if names}
    with writing_to(path):
        ownership.make_folder(path.parent, 0o700)
        if folders:
            atomic_file.write_atomically(path, {"schema": SCHEMA, "folders": folders})
        else:
            path.unlink(missing_ok=True)


def _stopped_file(fleet: Fleet) -> Path:
    return staging_dir(fleet) / "stopped.json"


def _file(fleet: Fleet) -> Path:
    return staging_dir(fleet) / "imports.json"
