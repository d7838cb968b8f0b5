"""One supervisor to a state folder."""

# ruff: noqa: PTH116, PTH208
# (pathlib is 0.8 MB of resident memory)

import errno
import fcntl
import os


class LockedError(OSError):
    """Another supervisor, or a bot that outlived it, holds the lock."""


def other_holders(path: str) -> list[int]:
    """The processes besides us that have the lock file open: what a bot left behind in a session of its own."""
    wanted = os.stat(path)
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _holds(name, wanted)]


def _holds(pid: str, wanted: os.stat_result) -> bool:
    if int(pid) == os.getpid():
        return False
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(_is_same(entry, wanted) for entry in entries)
    except OSError:  # gone, or none of ours
        return False


def _is_same(entry: "os.DirEntry[str]", wanted: os.stat_result) -> bool:
    try:
        found = entry.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def acquire(path: str) -> int:
    """A descriptor that holds the lock for as long as it, or a copy of it, is open anywhere.

    It is inheritable on purpose: the bot gets it, so that a bot whose supervisor is gone still keeps a
    second one from starting. Only the bot is ever started from here, so nobody else inherits it.
    """
    # NONBLOCK: an open never waits, whatever lies there
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        os.close(fd)
        if err.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise LockedError(err.errno, "held by another supervisor or its bot", path) from None
        raise
    os.set_inheritable(fd, True)
    return fd
