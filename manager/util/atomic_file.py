"""Writes files as a whole: a reader sees the old or the new one, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from manager.util import ownership

LEFTOVER_S = 60
"""No write of a small file takes longer, so that an older temporary file has no writer any more."""


def write_atomically(
    path: Path, value: object, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Replaces the file as a whole: a reader sees the old or the new one, also after a power cut.

    `owner` is (uid, gid), set before the file gets its name. Raises OSError; the old file is then untouched.
    """
    replace_bytes(path, encoded(value), mode, owner)


def replace_bytes(
    path: Path, data: bytes, mode: int, owner: tuple[int, int] | None = None, *, durable: bool = True
) -> None:
    """`replace` where the content is at hand."""
    replace(path, lambda fd: write_all(fd, data), mode, owner, durable=durable)


def encoded(value: object) -> bytes:
    """The very bytes that `write_atomically` writes."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def create(path: Path, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Makes a file, as a whole or not at all. Raises FileExistsError for one that is there, and OSError."""
    replace(path, lambda fd: write_all(fd, data), mode, owner, put=_put_new)


def _put_new(temporary: Path, path: Path) -> None:
    """Gives the file its name as a second one, which fails where somebody has it; not every file system knows links."""
    try:
        path.hardlink_to(temporary)
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.rename(path)
    else:
        temporary.unlink()


def replace(
    path: Path,
    fill: Callable[[int], None],
    mode: int,
    owner: tuple[int, int] | None = None,
    *,
    durable: bool = True,
    put: Callable[[Path, Path], object] = Path.replace,
) -> None:
    """Fills a temporary file beside `path` by `fill(descriptor)`, syncs it and renames it to `path` (or as `put` does it).

    `durable=False` does not wait for the disk: for what means nothing after a power cut.
    `owner`: without one, that of the folder where root writes. Only root can give a file away; a user's file keeps the
    user's group. Raises OSError, which always names a file.
    """
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fill(fd)
            os.fchmod(fd, mode)
            owner = owner or ownership.heir(path)
            if owner is not None and (os.geteuid() == 0 or owner[0] != os.geteuid()):
                os.fchown(fd, *owner)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        put(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Waits until the folder's own entries are on the disk; some network file systems cannot say."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(path: Path) -> None:
    """Removes the temporary files of writers that were killed: of an env file, one would keep old secrets for ever."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            is_left = entry.name.startswith(f".{path.name}.") and entry.name.endswith(".tmp")
            if is_left and time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_S:
                os.unlink(entry)  # noqa: PTH108 - an entry is no Path


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(fd: int, data: bytes) -> None:
    """Writes everything, however the kernel cuts it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
