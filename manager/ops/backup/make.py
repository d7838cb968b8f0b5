"""Back up the fleet as it is now.

Reads only, and does not take the fleet's lock, so that nothing waits for it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import compose_name
from manager.errors import Locked, ManagerError
from manager.fleet import tombstone
from manager.fleet.project import Project
from manager.i18n import Text, labelled
from manager.ops.backup import archive, databases, retention, scan
from manager.ops.backup.manifest import HISTORY, Manifest, is_allowed
from manager.typed import NamedTuple
from manager.util import atomic_file, formatting, ownership, strict_json
from manager.util.lock_file import open_lock
from manager.util.polling import wait_until
from manager.util.real_path import real_path
from manager.util.trusted_folder import require_trusted

FOLDER_MODE, FILE_MODE = 0o700, 0o600
"""Trades and positions are confidential."""
MAX_FILE_BYTES = 16_000_000
LEFTOVER = re.compile(rf"\.{archive.NAME.pattern}\.[0-9a-f]+\.tmp")
NAME_TAKEN_S = 0.2


class SavedInstance(NamedTuple):
    """Hold one instance in the backup: its copied files, and why others are missing."""

    instance: str
    copies: tuple[databases.CopiedFile, ...]
    faults: tuple[str, ...]
    seconds: float

    @property
    def size(self) -> int:
        """Return the bytes of all its files."""
        return sum(copy.source.size for copy in self.copies)


class BackupResult(NamedTuple):
    """Hold a backup that was written."""

    path: Path
    size: int
    manifest: Manifest
    saved: tuple[SavedInstance, ...]
    left_out: tuple[tuple[str, Text], ...]
    faults: tuple[str, ...]


OnSaved = Callable[[SavedInstance], None]


def known_instances(project: Project) -> list[str]:
    """Return all instances that have or had a config, because their databases should be kept."""
    return sorted({*project.specs, *project.fleet_state.instances})


def make(
    project: Project,
    ids: Iterable[str],
    folder: Path,
    image: dict[str, Any] | None,
    tell: OnSaved,
    earlier: Path | None = None,
) -> BackupResult:
    """Write a backup of these instances into `folder`. Raises ManagerError if there is no backup at all.

    `earlier`: where to look for the fleet's earlier backups, if not in `folder`.

    What could not be saved is listed in the result and in the manifest, and makes the backup incomplete; the
    rest is saved.
    """
    name = project.fleet.name
    with _folder_lock(folder, name):
        path = _free_path(folder, name)
        try:
            with _workspace(folder, name) as work:
                run = _BackupRun(project, earlier or folder, work, tell)
                atomic_file.replace(
                    path, lambda descriptor: run.write(descriptor, list(ids), image), FILE_MODE
                )
                atomic_file.sync_path(folder)
        except OSError as error:
            raise ManagerError(
                "cannot write {path}: {why}", path=error.filename or path, why=error.strerror or error
            ) from error
        return BackupResult(
            path,
            path.stat().st_size,
            run.manifest,
            tuple(run.saved),
            tuple(run.left_out),
            tuple(run.faults),
        )


class _BackupRun:
    """Hold the state of one backup while it is written."""

    def __init__(self, project: Project, earlier: Path, work: Path, tell: OnSaved) -> None:
        self.project, self.earlier, self.work, self.tell = project, earlier, work, tell
        self.saved: list[SavedInstance] = []
        self.left_out: list[tuple[str, Text]] = []
        self.faults: list[str] = []
        self.manifest: Manifest

    def write(self, descriptor: int, ids: list[str], image: dict[str, Any] | None) -> None:
        with archive.Writer(descriptor) as writer:
            self._write(writer, ids, image)

    def _write(self, writer: archive.Writer, ids: list[str], image: dict[str, Any] | None) -> None:
        self._add_files(writer)
        is_whole = set(ids) == set(known_instances(self.project))
        if is_whole:
            self._add_history(writer)
        configs = {
            loaded.spec.id: loaded.file
            for loaded in self.project.loaded.files
            if loaded.spec and is_allowed(loaded.file)
        }
        for instance in ids:
            saved = self._save(writer, instance)
            self.saved.append(saved)
            self.tell(saved)
        self.manifest = Manifest(
            fleet=self.project.fleet.name,
            made_at=formatting.iso(time.time()),
            is_whole=is_whole,
            is_complete=not self.faults and not any(saved.faults for saved in self.saved),
            files=dict(writer.files),
            instances={
                saved.instance: {
                    "config_file": configs.get(saved.instance),
                    "faults": list(saved.faults),
                    **_moves(self.project.fleet, saved.instance),
                }
                for saved in self.saved
            },
            image=image,
            left_out=[{"path": path, "why": str(why)} for path, why in self.left_out],
        )
        writer.close(self.manifest)

    def _add_files(self, writer: archive.Writer) -> None:
        """Add the settings, configs and state.

        A config that cannot be loaded may contain a credential, so it is left out.
        """
        fleet = self.project.fleet
        self._add_file(writer, "config/fleet.toml", fleet.project_dir / "config" / "fleet.toml")
        for loaded in self.project.loaded.files:
            if not is_allowed(loaded.file):
                why = Text("not in the backup: the file name contains unprintable characters; rename it")
                self.faults.append(labelled(loaded.file, why))
            elif loaded.spec is not None:
                self._add_file(writer, loaded.file, fleet.project_dir / loaded.file)
            else:
                why = Text("not in the backup: the config cannot be loaded and may contain a credential")
                self.faults.append(labelled(loaded.file, why))
        if _read_head(fleet.compose_file) == compose_name.HEAD.encode():
            self._add_file(writer, "compose.yaml", fleet.compose_file)
        self._add_file(writer, "state/fleet.json", fleet.state_file)

    def _add_file(self, writer: archive.Writer, name: str, path: Path) -> None:
        try:
            content = strict_json.read_bytes(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            self.faults.append(labelled(name, Text("cannot be read: {why}", why=error.strerror)))
            return
        writer.add_bytes(name, content)

    def _add_history(self, writer: archive.Writer) -> None:
        """Add the fleet's history, while `watch` writes it."""
        work = self.work / ".history"
        work.mkdir(mode=FOLDER_MODE)
        try:
            copies = databases.copy_database(self.project.fleet.history_file, work)
            for copy in copies.copied:
                writer.add(HISTORY, copy.path, "database", rows=copy.rows)
            self.faults += [labelled(HISTORY, why) for _name, why in copies.faults]
        except databases.CopyError as error:
            self.faults.append(labelled(HISTORY, error))
        finally:
            shutil.rmtree(work)

    def _save(self, writer: archive.Writer, instance: str) -> SavedInstance:
        started = time.monotonic()
        spec = self.project.specs.get(instance)
        work = self.work / instance
        work.mkdir(mode=FOLDER_MODE)
        try:
            copies = databases.copy_folder(
                instance,
                self.project.fleet.database_dir(instance),
                work,
                expected=() if spec is None else (spec.db_name,),
            )
            for copy in copies.copied:
                kind = "file" if copy.how == "file" else "database"
                name = scan.member_name(instance, copy.source.name)
                writer.add(name, copy.path, kind, copy.source.mode, copy.rows)
        except databases.CopyError as error:
            copies = databases.CopyResult(faults=(("", Text("{why}", why=error)),))
        finally:
            shutil.rmtree(work)
        self.left_out += [(scan.member_name(instance, name), why) for name, why in copies.left_out]
        faults = tuple(labelled(name, why) if name else str(why) for name, why in copies.faults)
        if spec is not None and not faults and not any(copy.rows is not None for copy in copies.copied):
            faults = tuple(str(why) for why in self._missing_database(spec))
        return SavedInstance(instance, copies.copied, faults, time.monotonic() - started)

    def _missing_database(self, spec: InstanceSpec) -> Iterator[Text]:
        """Yield why it is a fault that an instance's folder has no database: there is, or was, one elsewhere.

        A disk that is not mounted looks like a fleet that never ran.
        """
        fleet = self.project.fleet
        link = fleet.data_dir / spec.db_path
        if link.is_file() and not real_path(link).is_relative_to(real_path(fleet.database_dir(spec.id))):
            yield Text(
                "its database {path} is not in its folder; `manager up {id}` moves it there",
                path=fleet.relative(link),
                id=spec.id,
            )
        elif fleet.is_bundled_bot and _is_something_else(fleet.database_dir(spec.id) / spec.db_name):
            yield Text(
                "{name} is no SQLite database: it is damaged, or something else was put in its place; restore"
                " it from an earlier backup",
                name=spec.db_name,
            )
        elif self._previous is not None and self._previous[1].has_database(spec.id):
            yield Text(
                "its database was in {file} and is missing now; restore it, or, if you removed it on purpose,"
                " move the backups that have it elsewhere",
                file=self._previous[0].name,
            )

    @cached_property
    def _previous(self) -> tuple[Path, Manifest] | None:
        """Return the newest earlier full backup that can be read, with what it has."""
        for backup in retention.list_backups(self.earlier, self.project.fleet.name):
            if backup.is_full:
                with suppress(archive.ArchiveError):
                    return backup.path, archive.read(backup.path)
        return None


def _is_something_else(path: Path) -> bool:
    """Return whether something stands in the place of a database. An empty file is one without a table."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not stat.S_ISREG(status.st_mode) or status.st_size > 0


def _moves(fleet: Fleet, instance: str) -> dict[str, int | str]:
    """Return what the manifest says of an instance that was moved to this machine."""
    here = tombstone.generation(fleet, instance)
    return {"generation": here.number, "move": here.move} if here.number else {}


def _read_head(path: Path) -> bytes:
    try:
        return strict_json.read_bytes(path, len(compose_name.HEAD.encode()) - 1)
    except OSError:
        return b""


@contextmanager
def _folder_lock(folder: Path, fleet: str) -> Iterator[None]:
    """Allow one backup at a time in a folder. Raises Locked."""
    try:
        ownership.make_folder(folder, FOLDER_MODE)
        path = folder / f".{fleet}.lock"
        require_trusted(folder.absolute())
        descriptor = open_lock(path)
    except OSError as error:
        raise ManagerError(
            "cannot write to {path}: {why}", path=folder, why=error.strerror or error
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Locked(
            "another backup to {path} is in progress; wait until it has finished", path=folder
        ) from None
    finally:
        os.close(descriptor)


@contextmanager
def _workspace(folder: Path, fleet: str) -> Iterator[Path]:
    """Provide an empty folder beside the backup, and remove what killed backups left.

    The folder lock is held.
    """
    prefix = f".{fleet}.work."
    for entry in folder.iterdir():
        if entry.name.startswith(prefix):
            shutil.rmtree(entry, ignore_errors=True)
        elif (match := LEFTOVER.fullmatch(entry.name)) and match["fleet"] == fleet:
            entry.unlink()
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as work:
        yield Path(work)


def _free_path(folder: Path, fleet: str) -> Path:
    """Return a path that nothing has. Two backups can fall into one second: the second waits for the next."""
    path = folder

    def is_free() -> bool:
        nonlocal path
        path = folder / archive.file_name(fleet, time.time())
        return not path.exists()

    wait_until(is_free, poll=NAME_TAKEN_S)
    return path
