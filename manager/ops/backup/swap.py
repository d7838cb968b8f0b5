"""Replace a folder atomically. Killed at any moment, either the old or the new folder is in place.

Beside the target `database/ID` is our staging folder `database/.restoring-ID`. It contains `new`, the folder
being filled, and `journal`, which records the inode of `new` before the exchange. An interrupted swap can
therefore tell whether `new` is the new or the old folder.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from manager.util import atomic_file, strict_json
from manager.util.trusted_folder import require_trusted

AT_FDCWD = -100
RENAME_EXCHANGE = 2
NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})

NEW, JOURNAL = "new", "journal"
MAX_JOURNAL_BYTES = 1000
FOLDER_MODE = 0o755


def begin(staging: Path, aside: Path) -> tuple[Path, bool]:
    """Return an empty folder to fill, and whether an interrupted swap's old folder was moved to `aside`.

    Raises OSError.
    """
    require_trusted(staging.parent)
    had_old = _holds_old(staging)
    if had_old:
        (staging / NEW).rename(aside)
        atomic_file.sync_path(aside.parent)
    abandon(staging)
    staging.parent.mkdir(parents=True, exist_ok=True)
    staging.mkdir(mode=0o700)
    new = staging / NEW
    new.mkdir(mode=FOLDER_MODE)
    return new, had_old


def abandon(staging: Path) -> None:
    """Remove what was not swapped in. An old folder that was swapped out stays, until `begin` finds it.

    Raises OSError.
    """
    if staging.exists() and not _holds_old(staging):
        shutil.rmtree(staging)


def commit(staging: Path, target: Path, aside: Path, owner: tuple[int, int]) -> bool:
    """Make the filled folder `target`, and the present target, if any, `aside`. Raises OSError.

    Returns whether there was a target.
    """
    new = staging / NEW
    for path in _walk(new):
        _finish(path, owner)
    (staging / JOURNAL).write_text(json.dumps({"inode": new.stat().st_ino}), encoding="ascii")
    for path in (staging / JOURNAL, staging, staging.parent):
        atomic_file.sync_path(path)
    had_old = _is_folder(target)
    if not had_old:
        new.rename(target)
    elif _exchange(new, target):
        new.rename(aside)
    else:  # the file system cannot exchange: the target is missing for an instant, in which no bot can start
        target.rename(aside)
        new.rename(target)
    atomic_file.sync_path(target.parent)
    shutil.rmtree(staging)
    return had_old


def _holds_old(staging: Path) -> bool:
    """Return whether the swap was done, so that `new` is the old folder."""
    try:
        journal = json.loads(strict_json.read_bytes(staging / JOURNAL, MAX_JOURNAL_BYTES))
        return bool((staging / NEW).lstat().st_ino != journal["inode"])
    except (FileNotFoundError, ValueError):  # the exchange follows a complete journal only
        return False


def _exchange(first: Path, other: Path) -> bool:
    """Exchange the two paths. Returns False where the system does not support it; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    paths = (os.fsencode(first), os.fsencode(other))
    if libc.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0:
        return True
    error = ctypes.get_errno()
    if error in NO_EXCHANGE:
        return False
    raise OSError(error, os.strerror(error), str(other))


def _is_folder(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return True


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything in the folder, innermost first, then the folder."""
    for root, _folders, files in os.walk(folder, topdown=False):
        yield from (Path(root, name) for name in files)
        yield Path(root)


def _finish(path: Path, owner: tuple[int, int]) -> None:
    """Give a file to the bot, and sync it before it can be used."""
    if os.geteuid() == 0:
        os.chown(path, *owner, follow_symlinks=False)
    atomic_file.sync_path(path)
