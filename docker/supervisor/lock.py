"""Hold the lock that allows one supervisor per instance.

The lock is a file in the state folder, which the bot can write too. So the supervisor also locks the secrets
folder, which is mounted read-only: a bot that removes or replaces the file cannot let a second supervisor in.
"""

# ruff: noqa: PTH208
# (pathlib is 0.8 MB of resident memory)

import errno
import fcntl
import os
import stat
from _collections_abc import Callable

from supervisor import files, signals
from supervisor.suppress import suppress

_FLAGS = (
    os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # NONBLOCK: opening a FIFO never blocks


class LockedError(OSError):
    """Signal that another supervisor, or a bot that outlived it, holds the lock."""


class Lock:
    """Hold the lock file of the state folder, and the secrets folder, until the process ends.

    The file's descriptor is inherited by the bot, so that a bot whose supervisor has died still keeps a
    second bot from starting.
    """

    def __init__(self, path: str, folder: str) -> None:
        self._path = path
        self._folder = folder
        self._fds: list[int] = []  # the last one is the file at `path`; earlier ones were replaced

    @property
    def fd(self) -> int:
        """Return the descriptor of the lock file."""
        return self._fds[-1]

    def acquire(self) -> None:
        """Take the lock. Raises LockedError when it is held, OSError when it cannot be tried."""
        folder_fd = _lock_folder(self._folder)
        try:
            self._fds = [self._lock_file()]
        except OSError:
            if folder_fd >= 0:
                os.close(folder_fd)  # a supervisor that only waits must not keep the holder's successor out
            raise

    def _lock_file(self) -> int:
        try:
            return _lock_file(self._path)
        except OSError as err:
            if err.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
        files.move_aside(self._path)  # a link, a folder or a FIFO in its place was not made by a supervisor
        return _lock_file(self._path)

    def repair(self) -> bool:
        """Put the lock file back if it was removed or replaced; return whether it was. Raises OSError."""
        try:
            if os.path.samestat(os.lstat(self._path), os.fstat(self.fd)):
                return False
        except FileNotFoundError:
            pass
        temporary = self._path + ".new"
        files.move_aside(temporary)
        fd = _lock_file(temporary)
        try:
            files.rename_over(temporary, self._path)
        except OSError:
            os.close(fd)
            raise
        self._fds.append(fd)
        return True

    @property
    def fds(self) -> list[int]:
        """Return all inheritable descriptors."""
        return list(self._fds)

    def other_holders(self) -> list[int]:
        """Return the other processes that have a lock file open, such as children that a bot left in
        another session.
        """
        wanted = [os.fstat(fd) for fd in self._fds]
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _holds(name, wanted)]

    def kill_leftovers(self, log: Callable[[str], None]) -> None:
        """Kill children that the last bot left in another session: they hold the inherited lock and may
        still trade.
        """
        for pid in self.other_holders():
            log(f"killing process {pid}, which the last bot left behind")
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signals.SIGKILL)
        self.drop_replaced()

    def drop_replaced(self) -> None:
        """Close the files that were replaced. To be called when no process of an earlier run holds them."""
        while len(self._fds) > 1:
            os.close(self._fds.pop(0))


def _lock_file(path: str) -> int:
    fd = os.open(path, _FLAGS, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ENXIO, "not a regular file", path)
        _flock(fd, path)
    except OSError:
        os.close(fd)
        raise
    os.set_inheritable(fd, True)
    return fd


def _lock_folder(path: str) -> int:
    """Lock a folder, through a descriptor that only this process has.

    Returns -1 where that is not supported.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        _flock(fd, path)
    except LockedError:
        os.close(fd)
        raise
    except OSError:  # some network file systems lock only what is open for writing
        os.close(fd)
        return -1
    return fd


def _flock(fd: int, path: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        if err.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise LockedError(err.errno, "held by another supervisor or its bot", path) from None
        raise


def _holds(pid: str, wanted: list[os.stat_result]) -> bool:
    if int(pid) == os.getpid():
        return False
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        return any(_is_one_of(entry, wanted) for entry in entries)
    return False  # the process is gone, or belongs to another user


def _is_one_of(entry: "os.DirEntry[str]", wanted: list[os.stat_result]) -> bool:
    try:
        status = entry.stat()
    except OSError:
        return False
    return any(os.path.samestat(status, other) for other in wanted)
