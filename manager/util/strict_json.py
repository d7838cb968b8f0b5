"""Reads and writes JSON files that people and other programs also edit: strict, bounded, atomic."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from manager.i18n import _
from manager.util import ownership

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
LEFTOVER_S = 60
"""No write of a small file takes longer, so that an older temporary file has no writer any more."""


class JsonFault(Exception):
    """Why a file is not usable JSON: a message template, what goes into it, and the dotted path if known."""

    def __init__(self, message: str, *, path: str = "", **params: object) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.params = params


def read(path: Path, max_bytes: int = MAX_BYTES) -> object:
    """The file's JSON value. Raises JsonFault for anything doubtful: size, encoding, doubled keys, depth, NaN."""
    try:
        raw = content(path, max_bytes)
    except OSError as error:
        raise JsonFault("cannot be read: {why}", why=error.strerror or error) from error
    return value_of(raw, max_bytes)


def value_of(raw: bytes, max_bytes: int = MAX_BYTES) -> object:
    """The JSON value of a file's bytes, of which there may be one more than `max_bytes`. Raises JsonFault."""
    if len(raw) > max_bytes:
        raise JsonFault("is larger than {limit} bytes", limit=max_bytes)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonFault("is not UTF-8 (byte {position})", position=error.start) from error
    return parse(text)


def content(path: Path, max_bytes: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file, one more than `max_bytes` where there are more. Never waits, whatever lies there.

    `follow=False`: for a folder that a bot owns, where a link may lead anywhere. Raises OSError.
    """
    link = 0 if follow else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | link)
    with open(descriptor, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor, which is closed here
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, _("it is not a regular file"), str(path))
        return b"".join(_chunks(stream, max_bytes + 1))


def _chunks(stream: io.FileIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := stream.read(size)):
        size -= len(chunk)
        yield chunk


def parse(text: str) -> object:
    """The text's JSON value. Raises JsonFault."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise JsonFault(
            "is not JSON: {why} (line {line}, column {column})",
            why=error.msg,
            line=error.lineno,
            column=error.colno,
        ) from error
    except RecursionError as error:
        raise JsonFault("is nested deeper than {limit} levels", limit=MAX_DEPTH) from error
    except ValueError as error:  # an integer of thousands of digits
        raise JsonFault("is not JSON: {why}", why=str(error).split(";")[0]) from error
    _check_tree(value, "", MAX_DEPTH)
    return value


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


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise JsonFault("the key “{key}” stands there twice", key=key)
        result[key] = value
    return result


def _refuse_constant(name: str) -> object:
    raise JsonFault("is not JSON: {name} is no number", name=name)


def _check_tree(value: object, path: str, depth: int) -> None:
    """No string that a process argument, a label or a file cannot hold; no nesting without end."""
    if depth == 0:
        raise JsonFault("is nested deeper than {limit} levels", limit=MAX_DEPTH)
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, path)
            _check_tree(item, f"{path}.{key}" if path else key, depth - 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_tree(item, f"{path}[{index}]", depth - 1)


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise JsonFault("holds a NUL character", path=path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise JsonFault("holds half a surrogate pair", path=path) from error
