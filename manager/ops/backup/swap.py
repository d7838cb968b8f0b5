"""Puts a whole folder in another's place at one instant. Killed at any moment, there is the old one or the new one.

Beside the target `database/ID` lies `database/.restoring-ID`, ours alone: in it `new`, the folder being filled, and `journal`,
which names its inode before the exchange. So one that is found later tells which of the two it is.
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

AT_FDCWD = -100
RENAME_EXCHANGE = 2
NO_EXCHANGE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})

NEW, JOURNAL = "new", "journal"
MAX_JOURNAL_BYTES = 1000
FOLDER_MODE = 0o755


def begin(staging: Path, aside: Path) -> tuple[Path, bool]:
    """An empty folder to fill, and whether the old folder of a killed swap was found and became `aside`. Raises OSError."""
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
    """Removes what was not swapped in. What was swapped out stays, until `begin` finds it. Raises OSError."""
    if staging.exists() and not _holds_old(staging):
        shutil.rmtree(staging)


def commit(staging: Path, target: Path, aside: Path, owner: tuple[int, int]) -> bool:
    """The filled folder becomes `target`; what was there becomes `aside`, which says True. Raises OSError."""
    new = staging / NEW
    for path in _below(new):
        _finish(path, owner)
    (staging / JOURNAL).write_text(json.dumps({"inode": new.stat().st_ino}), encoding="ascii")
    for path in (staging / JOURNAL, staging, staging.parent):
        atomic_file.sync_path(path)
    had_old = _is_folder(target)
    if not had_old:
        new.rename(target)
    elif _exchanged(new, target):
        new.rename(aside)
    else:  # a file system that cannot: for an instant there is none, and folders.prepare keeps a bot from starting then
        target.rename(aside)
        new.rename(target)
    atomic_file.sync_path(target.parent)
    shutil.rmtree(staging)
    return had_old


def _holds_old(staging: Path) -> bool:
    """Whether the swap was done, and what lies here is what was there before."""
    try:
        journal = json.loads(strict_json.read_bytes(staging / JOURNAL, MAX_JOURNAL_BYTES))
        return bool((staging / NEW).lstat().st_ino != journal["inode"])
    except (FileNotFoundError, ValueError):  # a journal cut short was never followed by an exchange
        return False


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the two have changed places; False where the system has no way to do it. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _is_folder(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return True


def _below(folder: Path) -> Iterator[Path]:
    """Everything in it and then itself, the innermost first."""
    for root, _folders, files in os.walk(folder, topdown=False):
        yield from (Path(root, name) for name in files)
        yield Path(root)


def _finish(path: Path, owner: tuple[int, int]) -> None:
    """Given to the bot, and on the disk before it can be in use."""
    if os.geteuid() == 0:
        os.chown(path, *owner, follow_symlinks=False)
    atomic_file.sync_path(path)
