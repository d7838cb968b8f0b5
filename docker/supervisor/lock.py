"""One supervisor to a state folder."""

import errno
import fcntl
import os


class LockedError(OSError):
    """Another supervisor, or a bot that outlived it, holds the lock."""


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
