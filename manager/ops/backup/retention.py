"""Which backups are no longer kept. Pure but for `found` and `remove`; touches only files that this fleet's backup made."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from manager.errors import ManagerError
from manager.ops.backup import archive

DAY_S = 86400


class Kept(NamedTuple):
    """A backup in its folder. `made_at` in seconds since the epoch, by its name; `size` in bytes."""

    path: Path
    made_at: float
    is_full: bool
    size: int


def found(folder: Path, fleet: str) -> list[Kept]:
    """The fleet's backups in a folder, newest first: by name and by seal, so that no other file is ever taken for one."""
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ManagerError("cannot read {path}: {why}", path=folder, why=error.strerror or error) from error
    kept = [each for path in paths if (each := _kept(path, fleet)) is not None]
    return sorted(kept, key=lambda each: each.made_at, reverse=True)


def _kept(path: Path, fleet: str) -> Kept | None:
    match = archive.NAME.fullmatch(path.name)
    if match is None or match["fleet"] != fleet:
        return None
    try:
        status = path.lstat()
        made_at = time.mktime(time.strptime(match["stamp"], archive.STAMP))
        seal = archive.seal(path) if stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError):
        return None
    if seal is None or seal.fleet != fleet:
        return None
    return Kept(path, made_at, seal.is_full, status.st_size)


def superfluous(kept: Iterable[Kept], now: float, keep: int, keep_days: int) -> list[Kept]:
    """Those beyond the newest `keep`, and those older than `keep_days`; 0 is no limit. Never the newest full one."""
    ordered = sorted(kept, key=lambda each: each.made_at, reverse=True)
    newest = next((each for each in ordered if each.is_full), None)
    return [
        each
        for index, each in enumerate(ordered)
        if each is not newest
        and ((keep and index >= keep) or (keep_days and now - each.made_at > keep_days * DAY_S))
    ]


def remove(kept: Iterable[Kept]) -> None:
    """Removes them. Raises ManagerError for one that cannot be."""
    for each in kept:
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise ManagerError(
                "cannot remove {path}: {why}", path=each.path, why=error.strerror or error
            ) from error
