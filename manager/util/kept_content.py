"""Keep what was read out of a file as long as it is the same file, for those who look every few seconds."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable

from manager.typed import Generic, TypeVar

T = TypeVar("T")
MOST = 4000
"""With more files, all are forgotten: a fleet has some hundreds."""
COARSE = 5
"""Linux's CLOCK_REALTIME_COARSE, for which Python has no name."""
SETTLED_NS = 100_000_000
"""A file that changed less than this ago could change again with the same time, so it is read again."""


class KeptContent(Generic[T]):
    """Hold what `read` has returned for a path, with what the file system said of the file before.

    The time of change decides, which nobody can set back, not even a bot in its own folder.
    """

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._kept: dict[str, tuple[tuple[int, ...], T]] = {}

    def of(self, path: str) -> T:
        """Return what the file contains now. Raises what `read` raises, and OSError."""
        status = os.lstat(path)
        stamp = _stamp(status)
        kept = self._kept.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        present = file_time_ns()  # before the content: however long that takes, a later write bears no less
        content = self._read(path)
        if stat.S_ISREG(status.st_mode) and abs(present - status.st_ctime_ns) > SETTLED_NS:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[path] = (stamp, content)
        return content

    def put(self, path: str, content: T) -> None:
        """Keep what this process has just written to the file, that it need not be read. Raises OSError."""
        self._kept[path] = (_stamp(os.lstat(path)), content)


def file_time_ns() -> int:
    """Return the time that a file would bear that is written now, on a file system of this machine.

    Its clock goes in ticks, and is behind by more than one where the machine is late with them.
    """
    return time.clock_gettime_ns(COARSE) if sys.platform == "linux" else time.time_ns()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
