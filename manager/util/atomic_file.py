"""Replace files atomically: a reader sees the old or the new content, even after a power failure."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from manager.util import ownership
from manager.util.trusted_folder import trusted

LEFTOVER_S = 60
"""Writing a small file never takes longer, so an older temporary file belongs to a writer that was killed."""


def write_atomically(
    path: Path,
    value: object,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Replace the file with the value as JSON. A reader sees the old or the new content.

    `owner` is (uid, gid), set before the file gets its name. `durable`: see `replace`. Raises OSError and
    leaves the old file untouched.
    """
    replace_bytes(path, encode_json(value), mode, owner, durable=durable)


def replace_bytes(
    path: Path, data: bytes, mode: int, owner: tuple[int, int] | None = None, *, durable: bool = True
) -> None:
    """Replace the file with the data; see `replace`."""
    replace(path, lambda fd: write_all(fd, data), mode, owner, durable=durable)


def encode_json(value: object) -> bytes:
    """Return the bytes that `write_atomically` writes."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def create(path: Path, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Create a file atomically. Raises FileExistsError if it exists, and OSError."""
    replace(path, lambda fd: write_all(fd, data), mode, owner, put=_link_into_place)


def _link_into_place(temporary: Path, path: Path) -> None:
    """Hard-link the file to its name, which fails if the name exists.

    Rename it where links are unsupported.
    """
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
    """Write a temporary file beside `path` by `fill(descriptor)`, sync it and rename it to `path`.

    `durable=False` skips the sync, for files that are meaningless after a power failure, and for caches
    whose readers do without a damaged one. `put` replaces the rename. `owner` defaults to the folder's owner
    when root writes. Only root can give a file away; a user's file keeps the user's group. A folder that is
    another user's link is not followed. Raises OSError with a file name.
    """
    with trusted(path.parent) as folder:
        try:
            _replace_in(folder / path.name, fill, mode, owner, durable, put)
        except OSError as error:
            if error.filename is None or str(error.filename).startswith(f"{folder}/"):
                error.filename = str(path)
                error.filename2 = None
            raise


def _replace_in(
    path: Path,
    fill: Callable[[int], None],
    mode: int,
    owner: tuple[int, int] | None,
    durable: bool,
    put: Callable[[Path, Path], object],
) -> None:
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fill(fd)
            os.fchmod(fd, mode)
            owner = owner or ownership.inherited_owner(path)
            if owner is not None and (os.geteuid() == 0 or owner[0] != os.geteuid()):
                os.fchown(fd, *owner)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on disk, where the file system can report it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of killed writers. That of an env file would keep old secrets forever."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            is_temporary = entry.name.startswith(f".{path.name}.") and entry.name.endswith(".tmp")
            if is_temporary and time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_S:
                os.unlink(entry)  # noqa: PTH108 - an entry is not a Path


def sync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(fd: int, data: bytes) -> None:
    """Write all data; a single write() may be partial."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
