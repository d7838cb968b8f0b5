"""Verify a backup: its checksums, its manifest, and every database in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manager.errors import ManagerError
from manager.ops.backup import archive, databases
from manager.ops.backup.manifest import HISTORY, Manifest
from manager.util import scratch


def verify_backup(path: Path) -> Manifest:
    """Return the manifest of a valid backup. Raises ArchiveError with the first fault found.

    Needs as much disk space as the largest database in it.
    """
    with workspace(path) as work:
        checker = _DatabaseChecker(path, work)
        manifest = archive.read(path, checker.sink)
        checker.check()
    return manifest


@contextmanager
def workspace(path: Path) -> Iterator[Path]:
    """Provide an empty folder on the backup's disk; elsewhere if that is full or read-only."""
    beside = scratch.folder(path.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".verify-", dir=beside) as work:
            yield Path(work)
    except OSError as error:
        raise ManagerError(
            "cannot write {path}: {why}", path=error.filename or beside, why=error.strerror or error
        ) from error


class _DatabaseChecker:
    """Check each database before the next one is written, so that only one is on disk at a time."""

    def __init__(self, path: Path, work: Path) -> None:
        self._path, self._empty, self._copy = path, work / "empty", work / "copy.db"
        self._empty.mkdir()
        self._member = ""

    def sink(self, member: str, _mode: int) -> Path | None:
        self.check()
        if member != HISTORY and not member.startswith("database/"):
            return None
        self._member = member
        return self._copy

    def check(self) -> None:
        """Check the last written database. Raises ArchiveError."""
        if not self._member:
            return
        if databases.is_database(self._copy) and (fault := databases.check_database(self._copy, self._empty)):
            raise archive.ArchiveError(
                "{file}: {member}: {why}", file=self._path, member=self._member, why=fault
            )
        self._copy.unlink()
        self._member = ""
