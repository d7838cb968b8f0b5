"""Copies databases and logs into the fleet, each whole before it gets its name; the old files are only read."""

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
from manager.ops import instance_folders
from manager.ops.migrate import inspect
from manager.ops.migrate.inspect import Facts, Found
from manager.util import ownership


@contextlib.contextmanager
def _staging(fleet: Fleet, instance: str) -> Iterator[Path]:
    """An empty folder of our own; what a killed run left there is removed."""
    folder = import_records.staging_dir(fleet) / f"copy-{instance}"
    ownership.make_folder(import_records.staging_dir(fleet), 0o700)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_database(found: Found, facts: Facts, fleet: Fleet) -> None:
    """A consistent copy gets the database's name; the old files are only read.

    They are copied as they are, and the copy is opened: SQLite brings a -wal or a hot -journal in, which in the old
    folder would change the old files.
    """
    assert found.loaded.spec is not None
    assert found.database is not None
    source, target = found.database.path, fleet.data_dir / found.loaded.spec.db_path
    with _staging(fleet, found.id) as folder:
        before = inspect.stamps(source)
        for suffix in ("", "-wal", "-journal"):
            part = source.with_name(source.name + suffix)
            if part.is_file():
                shutil.copyfile(part, folder / f"raw{suffix}")
        if user := instance_folders.process_with_open(source):
            raise ManagerError(
                "process {pid} has the database of {id} open: stop it, and import again",
                pid=user,
                id=found.id,
            )
        if inspect.stamps(source) != before:
            raise ManagerError("the database of {id} changed while it was copied: something writes to it", id=found.id)  # fmt: skip
        copied = folder / "copy"
        _backup(folder / "raw", copied, found.id)
        copied.chmod(source.stat().st_mode & 0o777 | 0o600)
        note(found, facts, fleet, before, import_records.stamp(copied))
        _make_parents(target, fleet)
        if found.is_placed or not os.path.lexists(target):
            if owner := ownership.inherited_owner(target):
                os.chown(copied, *owner)
            copied.replace(target)
        else:
            raise ManagerError("{path} is there already", path=target)


def _backup(raw: Path, copied: Path, instance: str) -> None:
    """SQLite's own copy, checked and on the disk. Raises ManagerError for a damaged database, sqlite3.Error, OSError."""
    with contextlib.closing(sqlite3.connect(raw)) as old, contextlib.closing(sqlite3.connect(copied)) as new:
        old.backup(new)
        found = [row[0] for row in new.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise ManagerError("the database of {id} is damaged ({why}): nothing of it was imported", id=instance, why=found[0])  # fmt: skip
    with copied.open("rb") as stream:
        os.fsync(stream.fileno())


def copy_logs(found: Found, days: tuple[str, ...], facts: Facts, fleet: Fleet) -> None:
    """Each day's folder as a whole; of what lies in it only files and folders."""
    assert found.loaded.spec is not None
    target = fleet.data_dir / found.loaded.spec.log_dir
    _make_parents(target / "day", fleet)
    with _staging(fleet, found.id) as folder:
        for day in days:
            source, copied = facts.folder / found.loaded.spec.log_dir / day, folder / day
            shutil.copytree(source, copied, ignore=_no_files, symlinks=True)
            if os.geteuid() == 0:
                owner = target.stat()
                instance_folders.give_away(copied, (owner.st_uid, owner.st_gid))
            if not os.path.lexists(target / day):
                copied.rename(target / day)


def _no_files(folder: str, names: list[str]) -> list[str]:
    """Links, sockets and pipes."""
    paths = {name: Path(folder, name) for name in names}
    return [
        name for name, path in paths.items() if path.is_symlink() or not (path.is_file() or path.is_dir())
    ]


def _make_parents(target: Path, fleet: Fleet) -> None:
    """The folders above a target below the data folder; a link among them would lead out of it."""
    folder = fleet.data_dir
    for part in target.parent.relative_to(fleet.data_dir).parts:
        folder = folder / part
        instance_folders.real_folder(folder, 0o755)


def note(
    found: Found,
    facts: Facts,
    fleet: Fleet,
    taken: list[import_records.Stamp],
    placed: import_records.Stamp | None,
) -> None:
    """Remembers where the instance comes from, before anything of it is there."""
    assert found.loaded.spec is not None
    taken_from = Import(str(facts.folder), found.file, found.loaded.spec.log_dir, taken, placed)
    import_records.save(fleet, {**import_records.read(fleet), found.id: taken_from})
