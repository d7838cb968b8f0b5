"""Select and remove expired backups. Touches only files that this fleet's backups created."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable
from pathlib import Path

from manager.errors import ManagerError
from manager.ops.backup import archive
from manager.typed import NamedTuple

DAY_S = 86400


class RetainedBackup(NamedTuple):
    """Hold a backup in its folder. `made_at`: Unix time from its name; `size` in bytes."""

    path: Path
    made_at: float
    is_full: bool
    size: int


def list_backups(folder: Path, fleet: str) -> list[RetainedBackup]:
    """Return the fleet's backups in a folder, newest first.

    A file counts only by its name and its trailer, so that no other file is ever taken for a backup. Raises
    ManagerError.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ManagerError("cannot read {path}: {why}", path=folder, why=error.strerror or error) from error
    backups = [backup for path in paths if (backup := _read_backup(path, fleet)) is not None]
    return sorted(backups, key=lambda backup: backup.made_at, reverse=True)


def _read_backup(path: Path, fleet: str) -> RetainedBackup | None:
    match = archive.NAME.fullmatch(path.name)
    if match is None or match["fleet"] != fleet:
        return None
    try:
        status = path.lstat()
        made_at = time.mktime(time.strptime(match["stamp"], archive.STAMP))
        trailer = archive.read_trailer(path) if stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError):
        return None
    if trailer is None or trailer.fleet != fleet:
        return None
    return RetainedBackup(path, made_at, trailer.is_full, status.st_size)


def select_expired(
    backups: Iterable[RetainedBackup], now: float, keep: int, keep_days: int
) -> list[RetainedBackup]:
    """Return the backups beyond the newest `keep`, and those older than `keep_days`; 0 means no limit.

    Full backups and others are counted apart: nights of which something is missing expire no good one. The
    newest full backup is never expired.
    """
    full = 0
    others = 0
    expired = []
    for backup in sorted(backups, key=lambda backup: backup.made_at, reverse=True):
        is_beyond = keep and (full >= keep or (not backup.is_full and others >= keep))
        is_old = keep_days and now - backup.made_at > keep_days * DAY_S
        if (is_beyond or is_old) and not (backup.is_full and full == 0):
            expired.append(backup)
        full, others = full + backup.is_full, others + (not backup.is_full)
    return expired


def remove(backups: Iterable[RetainedBackup]) -> None:
    """Remove the backups. Raises ManagerError for one that cannot be removed."""
    for backup in backups:
        try:
            backup.path.unlink(missing_ok=True)
        except OSError as error:
            raise ManagerError(
                "cannot remove {path}: {why}", path=backup.path, why=error.strerror or error
            ) from error
