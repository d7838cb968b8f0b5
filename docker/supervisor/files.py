"""Small files: read with limits, replaced atomically."""

# ruff: noqa: PTH104, PTH108
# (pathlib is 0.8 MB of resident memory)

import contextlib
import errno
import os
import stat


def read_small(path: str, limit: int = 1 << 20) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Never blocks, not even on a FIFO."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
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
    """Replace `path` atomically by `content`. `durable`: also across a power cut."""
    temporary = path + ".tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path)


def _sync_folder(path: str) -> None:
    with contextlib.suppress(OSError):  # not supported by some network file systems; the rename has happened
        fd = os.open(path.rpartition("/")[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
