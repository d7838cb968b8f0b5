"""Copy databases and logs into the fleet, each under a temporary name until it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet import import_records
from manager.fleet.import_records import Import
from manager.ops.folders import instance_folders
from manager.ops.migrate import inspect, plan
from manager.ops.migrate.inspect import ImportFacts, OldConfig
from manager.util import ownership
from manager.util.formatting import file_size
from manager.util.trusted_folder import require_trusted


@contextlib.contextmanager
def _staging(fleet: Fleet, instance: str) -> Iterator[Path]:
    """Provide an empty folder of our own, and remove what a killed run left there."""
    folder = import_records.staging_dir(fleet) / f"copy-{instance}"
    ownership.make_folder(import_records.staging_dir(fleet), 0o700)
    require_trusted(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_database(config: OldConfig, facts: ImportFacts, fleet: Fleet) -> None:
    """Copy an old database consistently. Raises ManagerError if something uses it.

    The files are copied as they are and the copy is opened, because SQLite merges a -wal or a hot -journal,
    which in the old folder would change the old files.
    """
    assert config.loaded.spec is not None
    assert config.database is not None
    source, target = config.database.path, fleet.data_dir / config.loaded.spec.db_path
    with _staging(fleet, config.id) as folder:
        free = shutil.disk_usage(folder).free  # other databases have been copied since the plan
        if plan.too_large(config.database, free):
            raise ManagerError(
                "no room for the database of {id}: {size} twice, and {free} are free",
                id=config.id,
                size=file_size(config.database.size),
                free=file_size(free),
            )
        before = inspect.database_stamps(source)
        for suffix in ("", "-wal", "-journal"):
            part = source.with_name(source.name + suffix)
            if part.is_file():
                shutil.copyfile(part, folder / f"raw{suffix}")
        if user := instance_folders.process_with_open(source):
            raise ManagerError(
                "process {pid} has the database of {id} open; stop it and run the import again",
                pid=user,
                id=config.id,
            )
        if inspect.database_stamps(source) != before:
            raise ManagerError(
                "the database of {id} changed while it was being copied; stop what writes to it and run the "
                "import again",
                id=config.id,
            )
        copied = folder / "copy"
        _backup(folder / "raw", copied, config.id)
        copied.chmod(source.stat().st_mode & 0o777 | 0o600)
        record_origin(config, facts, fleet, before, import_records.stamp(copied))
        _make_parents(target, fleet)
        if config.is_placed or not os.path.lexists(target):
            if owner := ownership.inherited_owner(target):
                os.chown(copied, *owner)
            copied.replace(target)
        else:
            raise ManagerError("{path} already exists", path=target)


def _backup(raw: Path, copied: Path, instance: str) -> None:
    """Copy a database with SQLite, check it and sync it.

    Raises ManagerError for a damaged database, sqlite3.Error, OSError.
    """
    with contextlib.closing(sqlite3.connect(raw)) as old, contextlib.closing(sqlite3.connect(copied)) as new:
        old.backup(new)
        faults = [row[0] for row in new.execute("PRAGMA integrity_check(1)")]
    if faults != ["ok"]:
        raise ManagerError(
            "the database of {id} is damaged ({why}); nothing was imported for {id}",
            id=instance,
            why=faults[0],
        )
    with copied.open("rb") as stream:
        os.fsync(stream.fileno())


def copy_logs(config: OldConfig, days: tuple[str, ...], facts: ImportFacts, fleet: Fleet) -> None:
    """Copy each day's folder as a whole, with its regular files and folders only."""
    assert config.loaded.spec is not None
    target = fleet.data_dir / config.loaded.spec.log_dir
    _make_parents(target / "day", fleet)
    with _staging(fleet, config.id) as folder:
        for day in days:
            source, copied = facts.folder / config.loaded.spec.log_dir / day, folder / day
            shutil.copytree(source, copied, ignore=_no_files, symlinks=True)
            if os.geteuid() == 0:
                owner = target.stat()
                instance_folders.give_away(copied, (owner.st_uid, owner.st_gid))
            if not os.path.lexists(target / day):
                copied.rename(target / day)


def _no_files(folder: str, names: list[str]) -> list[str]:
    """Return the names of symlinks, sockets and pipes."""
    paths = {name: Path(folder, name) for name in names}
    return [
        name for name, path in paths.items() if path.is_symlink() or not (path.is_file() or path.is_dir())
    ]


def _make_parents(target: Path, fleet: Fleet) -> None:
    """Create the target's parent folders below the data folder. A symlink among them would lead out of it."""
    folder = fleet.data_dir
    for part in target.parent.relative_to(fleet.data_dir).parts:
        folder = folder / part
        instance_folders.real_folder(folder, 0o755)


def record_origin(
    config: OldConfig,
    facts: ImportFacts,
    fleet: Fleet,
    taken: list[import_records.Stamp],
    placed: import_records.Stamp | None,
) -> None:
    """Record where the instance comes from, before anything of it is copied into place."""
    assert config.loaded.spec is not None
    taken_from = Import(str(facts.folder), config.file, config.loaded.spec.log_dir, taken, placed)
    import_records.save(fleet, {**import_records.read(fleet), config.id: taken_from})
