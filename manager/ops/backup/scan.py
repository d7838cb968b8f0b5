"""Look through an instance's database folder. The bot owns the folder and may be hostile.

Every database is looked for, whatever lies beside it. What may be a database and cannot be saved is a fault,
so that the backup is not complete.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from manager.i18n import Text
from manager.ops.backup.manifest import is_allowed, is_printable
from manager.typed import NamedTuple
from manager.util.formatting import MIB, file_size
from manager.util.real_path import real_path

MAGIC = b"SQLite format 3\0"
SIDE_FILE_SUFFIXES = ("-wal", "-shm", "-journal")
"""Files beside a database, whose content the copy includes."""
DATABASE_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3")

MAX_FILES = 1000
MAX_DEPTH = 8
MAX_PLAIN_BYTES = 64 * MIB
"""Limits for an instance's files that are not databases. They may be inconsistent if copied during a
write."""
MAX_SCANNED, MAX_SCANNED_DEPTH = 200_000, 64
"""How far databases are looked for: some seconds, and fewer open folders than a process may have."""
MAX_DATABASES = 1000

Named = tuple[str, Text]
"""A file's name, and what is said about it."""


class SourceFile(NamedTuple):
    """Hold a file of a database folder. `name` is relative to it; `total_size` includes the `-wal`."""

    name: str
    size: int
    total_size: int
    mode: int
    is_database: bool


class ScanResult(NamedTuple):
    """Hold what a folder has: files to copy, what is left out, and what should be saved but cannot be."""

    databases: list[SourceFile]
    others: list[SourceFile]
    left_out: list[Named]
    faults: list[Named]


def member_name(instance: str, name: str) -> str:
    """Return the name that a file of a database folder has in a backup."""
    return f"database/{instance}/{name}"


def scan(instance: str, folder: Path, expected: Collection[str]) -> ScanResult:
    """Return what lies below a folder, without following symlinks. Raises OSError if it cannot be read.

    `expected`: names of files that are the instance's databases, whatever they look like.
    """
    scanner = _Scanner(instance, frozenset(expected))
    scanner.walk(folder)
    return scanner.result()


def inspect_database(path: Path) -> SourceFile:
    """Return what is known of one file, following a symlink. Raises OSError."""
    real = real_path(path)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = _inspect("", real.name, {entry.name for entry in real.parent.iterdir()}, folder)
    finally:
        os.close(folder)
    if file is None:
        raise FileNotFoundError(path)
    return file


def open_file(name: str, folder: int) -> int:
    """Return a descriptor of a file that may have become anything. Raises OSError for a symlink."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=folder)


class _Scanner:
    """Collect what a folder has, and sort it out."""

    def __init__(self, instance: str, expected: frozenset[str]) -> None:
        self._instance, self._expected = instance, expected
        self._files: list[SourceFile] = []
        self._left_out: list[Named] = []
        self._faults: list[Named] = []
        self._scanned = 0

    def walk(self, folder: Path) -> None:
        for root, folders, files, descriptor in os.fwalk(
            folder, follow_symlinks=False, onerror=self._note_folder
        ):
            relative = os.path.relpath(root, folder)
            prefix = "" if relative == "." else f"{relative}/"
            if prefix.count("/") >= MAX_SCANNED_DEPTH:
                why = Text("nested deeper than {limit} folders", limit=MAX_SCANNED_DEPTH)
                self._faults += [(_shown(f"{prefix}{name}/"), why) for name in folders]
                folders.clear()
            folders.sort()
            names = set(files)
            for name in sorted(files, key=lambda name: (name not in self._expected, name)):
                if _is_side_file(name, names):
                    continue
                self._scanned += 1
                if self._scanned > MAX_SCANNED:
                    why = Text("more than {limit} files, not all searched for databases", limit=MAX_SCANNED)
                    self._faults.append((_shown(prefix + name), why))
                    return
                self._add(prefix, name, names, descriptor)

    def result(self) -> ScanResult:
        """Return what was found, within the limits; what is named as a database has the first turn."""
        files = sorted(
            self._files, key=lambda file: (file.name not in self._expected, not _is_named_so(file.name))
        )
        databases = [file for file in files if file.is_database]
        for file in databases[MAX_DATABASES : MAX_DATABASES + 1]:
            why = Text("this and all following databases: more than {limit}", limit=MAX_DATABASES)
            self._faults.append((file.name, why))
        others = self._selected([file for file in files if not file.is_database])
        return ScanResult(databases[:MAX_DATABASES], others, self._left_out, self._faults)

    def _selected(self, files: list[SourceFile]) -> list[SourceFile]:
        """Return the files that are no databases within their limits."""
        selected: list[SourceFile] = []
        remaining = MAX_PLAIN_BYTES
        for file in files:
            if len(selected) == MAX_FILES:
                why = Text("this and all following files: more than {limit} files", limit=MAX_FILES)
                self._leave_out(file.name, why)
                break
            if file.name.count("/") > MAX_DEPTH:
                self._leave_out(file.name, Text("nested deeper than {limit} folders", limit=MAX_DEPTH))
            elif file.size > remaining:
                limit = file_size(MAX_PLAIN_BYTES)
                self._leave_out(file.name, Text("files other than databases exceed {limit}", limit=limit))
            else:
                remaining -= file.size
                selected.append(file)
        return selected

    def _add(self, prefix: str, name: str, names: set[str], folder: int) -> None:
        try:
            file = _inspect(prefix, name, names, folder)
        except PermissionError as error:  # whatever it is, it may be a database
            self._faults.append((_shown(prefix + name), Text("{why}", why=error.strerror)))
            return
        except FileNotFoundError:  # the bot has removed it meanwhile
            return
        except OSError as error:
            why = Text("{why}", why=error.strerror)
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                why = Text("a symbolic link, which a backup does not follow")
            self._leave_out(prefix + name, why)
            return
        if file is None:
            self._leave_out(prefix + name, Text("not a regular file"))
        elif not is_printable(file.name):
            self._leave_out(file.name, Text("the file name contains unprintable characters"), file)
        elif not is_allowed(member_name(self._instance, file.name)):
            self._leave_out(file.name, Text("the file name is too long"), file)
        else:
            self._files.append(file)

    def _leave_out(self, name: str, why: Text, file: SourceFile | None = None) -> None:
        """Note a file that is not saved: a fault if it is a database, or is named as one."""
        is_database = file is not None and file.is_database
        is_fault = is_database or name in self._expected or _is_named_so(name)
        (self._faults if is_fault else self._left_out).append((_shown(name), why))

    def _note_folder(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            self._faults.append((_shown(f"{error.filename}/"), Text("{why}", why=error.strerror)))


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _is_named_so(name: str) -> bool:
    return name.lower().endswith(DATABASE_SUFFIXES)


def _is_side_file(name: str, names: set[str]) -> bool:
    return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in SIDE_FILE_SUFFIXES)


def _inspect(prefix: str, name: str, names: set[str], folder: int) -> SourceFile | None:
    """Return what is known of a file, None for one that is not regular. Raises OSError."""
    descriptor = open_file(name, folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        is_database = os.pread(descriptor, len(MAGIC), 0) == MAGIC
    finally:
        # Not in the process that opens the database: closing a descriptor drops its locks on the file.
        os.close(descriptor)
    total_size = status.st_size
    if is_database and f"{name}-wal" in names:
        total_size += os.stat(f"{name}-wal", dir_fd=folder, follow_symlinks=False).st_size
    return SourceFile(prefix + name, status.st_size, total_size, stat.S_IMODE(status.st_mode), is_database)
