"""A backup of the fleet as it is now. Reads only; takes no lock of the fleet's, so that nothing waits for it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from manager.errors import Locked, ManagerError
from manager.fleet.instances_json import local_iso
from manager.fleet.project import Project
from manager.i18n import Text
from manager.ops.backup import archive, databases
from manager.ops.backup.manifest import Manifest
from manager.util import atomic_file, ownership, strict_json
from manager.util.polling import wait_until

FOLDER_MODE, FILE_MODE = 0o700, 0o600
"""Trades and positions are nobody else's business."""
MAX_FILE_BYTES = 16_000_000
COMPOSE_HEAD = b"# Rendered by `manager compose`"
"""Another compose.yaml is a person's own, which may hold anything."""
LEFTOVER = re.compile(rf"\.{archive.NAME.pattern}\.[0-9a-f]+\.tmp")
NAME_TAKEN_S = 0.2


class Saved(NamedTuple):
    """One instance in the backup: its files as copied, or why there is none of some."""

    instance: str
    copies: tuple[databases.Copy, ...]
    faults: tuple[str, ...]
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(each.found.size for each in self.copies)


class Made(NamedTuple):
    """A backup that was written."""

    path: Path
    size: int
    manifest: Manifest
    saved: tuple[Saved, ...]
    left_out: tuple[tuple[str, Text], ...]
    faults: tuple[str, ...]


Tell = Callable[[Saved], None]


def instances(project: Project) -> list[str]:
    """Everything that has or had a config: their databases are worth keeping."""
    return sorted({*project.specs, *project.memory.instances})


def make(
    project: Project, ids: Iterable[str], folder: Path, image: dict[str, Any] | None, tell: Tell
) -> Made:
    """Writes a backup of these instances into `folder`. Raises ManagerError when there is no backup at all.

    What could not be saved is named in it; the rest is saved all the same.
    """
    name = project.fleet.name
    with _alone_in(folder, name):
        path = _free_path(folder, name)
        try:
            with _workspace(folder, name) as work:
                running = _Run(project, work, tell)
                atomic_file.replace(
                    path, lambda descriptor: running.write(descriptor, list(ids), image), FILE_MODE
                )
                atomic_file.sync_path(folder)
        except OSError as error:
            raise ManagerError(
                "cannot write {path}: {why}", path=error.filename or path, why=error.strerror or error
            ) from error
        return Made(
            path, path.stat().st_size, running.manifest, tuple(running.saved), tuple(running.left_out),
            tuple(running.faults),
        )  # fmt: skip


class _Run:
    """One backup while it is being written."""

    def __init__(self, project: Project, work: Path, tell: Tell) -> None:
        self.project, self.work, self.tell = project, work, tell
        self.saved: list[Saved] = []
        self.left_out: list[tuple[str, Text]] = []
        self.faults: list[str] = []
        self.manifest: Manifest

    def write(self, descriptor: int, ids: list[str], image: dict[str, Any] | None) -> None:
        writer = archive.Writer(descriptor)
        self._add_files(writer)
        configs = {loaded.spec.id: loaded.file for loaded in self.project.loaded.files if loaded.spec}
        for each in ids:
            saved = self._save(writer, each)
            self.saved.append(saved)
            self.tell(saved)
        self.manifest = Manifest(
            fleet=self.project.fleet.name,
            made_at=local_iso(time.time()),
            is_whole=set(ids) == set(instances(self.project)),
            is_complete=not self.faults and not any(each.faults for each in self.saved),
            files=dict(writer.files),
            instances={
                each.instance: {"config_file": configs.get(each.instance), "faults": list(each.faults)}
                for each in self.saved
            },
            image=image,
            left_out=[{"path": path, "why": str(why)} for path, why in self.left_out],
        )
        writer.close(self.manifest)

    def _add_files(self, writer: archive.Writer) -> None:
        """Settings, configs and memory. A config that cannot be loaded is not known to hold no credential."""
        fleet = self.project.fleet
        self._add_file(writer, "config/fleet.toml", fleet.project_dir / "config" / "fleet.toml")
        for loaded in self.project.loaded.files:
            if loaded.spec is not None:
                self._add_file(writer, loaded.file, fleet.project_dir / loaded.file)
            else:
                why = Text("cannot be loaded, and may hold a credential: not in the backup")
                self.faults.append(f"{loaded.file}: {why}")
        if _head(fleet.compose_file) == COMPOSE_HEAD:
            self._add_file(writer, "compose.yaml", fleet.compose_file)
        self._add_file(writer, "state/fleet.json", fleet.state_file)

    def _add_file(self, writer: archive.Writer, name: str, path: Path) -> None:
        try:
            content = strict_json.read_bytes(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            self.faults.append(f"{name}: {Text('cannot be read: {why}', why=error.strerror)}")
            return
        writer.add_bytes(name, content)

    def _save(self, writer: archive.Writer, instance: str) -> Saved:
        began = time.monotonic()
        work = self.work / instance
        work.mkdir(mode=FOLDER_MODE)
        try:
            copies = databases.copied(instance, self.project.fleet.database_dir(instance), work)
            for each in copies.done:
                kind = "file" if each.how == "file" else "database"
                writer.add(databases.member(instance, each.found.name), each.path, kind, each.found.mode)
        except databases.CopyError as error:
            copies = databases.Copies(faults=(("", Text("{why}", why=error)),))
        finally:
            shutil.rmtree(work)
        self.left_out += [(databases.member(instance, name), why) for name, why in copies.left_out]
        faults = tuple(f"{name}: {why}" if name else str(why) for name, why in copies.faults)
        return Saved(instance, copies.done, faults, time.monotonic() - began)


def _head(path: Path) -> bytes:
    try:
        return strict_json.read_bytes(path, len(COMPOSE_HEAD) - 1)
    except OSError:
        return b""


@contextmanager
def _alone_in(folder: Path, fleet: str) -> Iterator[None]:
    """One backup at a time in a folder. Raises Locked."""
    try:
        ownership.make_folder(folder, FOLDER_MODE)
        path = folder / f".{fleet}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        ownership.give_to_folder_owner(path)
    except OSError as error:
        raise ManagerError(
            "cannot write into {path}: {why}", path=folder, why=error.strerror or error
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Locked("another backup is being written into {path}; wait for it", path=folder) from None
    finally:
        os.close(descriptor)


@contextmanager
def _workspace(folder: Path, fleet: str) -> Iterator[Path]:
    """An empty folder beside the backup for copies on their way. What killed backups left goes: we are alone."""
    prefix = f".{fleet}.work."
    for left in folder.iterdir():
        if left.name.startswith(prefix):
            shutil.rmtree(left, ignore_errors=True)
        elif (match := LEFTOVER.fullmatch(left.name)) and match["fleet"] == fleet:
            left.unlink()
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
