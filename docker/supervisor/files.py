"""Read small files with limits and replace them atomically, whatever has been put in their place."""

# ruff: noqa: PTH101, PTH104, PTH106, PTH108, PTH116
# (pathlib is 0.8 MB of resident memory)

import errno
import os
import stat
import time

from supervisor.suppress import suppress


def read_small(path: str, limit: int = 1 << 20, *, follow: bool = True) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Never blocks, not even on a FIFO.

    `follow`: whether `path` may be a symbolic link. Not where the bot can write.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        chunks, size = [], 0
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise OSError(errno.EFBIG, f"larger than {limit} bytes", path)
        return b"".join(chunks)
    finally:
        os.close(fd)


def replace(path: str, content: bytes, *, durable: bool) -> None:
    """Replace `path` atomically by `content`. `durable`: also across a power cut.

    Replaces links, and moves folders aside that lie in its place or in that of the temporary file.
    """
    temporary = path + ".tmp"
    try:
        fd = _create(temporary)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        rename_over(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path)


def rename_over(old: str, new: str) -> None:
    """Rename `old` to `new`, whatever `new` is."""
    try:
        os.rename(old, new)
    except OSError as err:
        if err.errno not in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise
        move_aside(new)
        os.rename(old, new)


def move_aside(path: str) -> None:
    """Remove what is at `path`; a folder that is not empty is renamed instead, since its content may be
    wanted.
    """
    with suppress(FileNotFoundError):
        try:
            os.unlink(path)
        except IsADirectoryError:
            try:
                os.rmdir(path)
            except OSError as err:
                if err.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                os.rename(path, f"{path}.moved-{time.time_ns()}")


def _create(path: str) -> int:
    """Create a new file, also in a folder that its owner has made read-only, as the bot can."""
    try:
        return _create_exclusively(path)
    except PermissionError:
        folder = path.rpartition("/")[0]
        os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) | stat.S_IRWXU)
    return _create_exclusively(path)


def _create_exclusively(path: str) -> int:
    """Create a new file; what is in its place, left behind or another program's, is moved aside."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC  # EXCL: a FIFO or a link is never opened
    try:
        return os.open(path, flags, 0o666)
    except FileExistsError:
        move_aside(path)
    return os.open(path, flags, 0o666)


def _sync_folder(path: str) -> None:
    with suppress(OSError):  # not supported by some network file systems; the rename has happened
        fd = os.open(path.rpartition("/")[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
