"""Log files in one folder per local day.

Writing never blocks and never raises: lines that cannot be written are counted.
"""

# ruff: noqa: PTH102
# (pathlib is 0.8 MB of resident memory)

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable

from supervisor.clock import LocalDate

RETRY_S = 1.0  # between two attempts to make the folder or the file
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEWLINE = 10


class DatedFile:
    """Appends to `FOLDER/YYYY-MM-DD/NAME`, which is opened at the first write of a day.

    After a gap it continues at the beginning of a line, so that halves of two lines are never joined.
    """

    def __init__(
        self, folder: str, name: str, today: LocalDate, on_fault: Callable[[str | None], None]
    ) -> None:
        self._folder = folder
        self._name = name
        self._today = today
        # called with the cause when writing begins to fail, and with None when it works again
        self._on_fault = on_fault
        self._date = ""
        self._fd = -1
        self._retry_at = 0.0  # monotonic seconds
        self._file_mid_line = False  # the file's last byte is no line end
        self._lost_mid_line = False  # the last byte that was dropped is no line end
        self._fault: str | None = None
        self.dropped = 0  # lines

    def write(self, data: bytes) -> None:
        """Append `data`, or count the lines of it that could not be written."""
        try:
            self._open_for(self._today.name(time.time()))
            if self._fault is not None:
                data = self._after_gap(data)
            while data:
                count = os.write(self._fd, data)
                self._file_mid_line = data[count - 1] != _NEWLINE
                data = data[count:]
                self._turn(None)
        except OSError as err:
            self._drop(data)
            self._turn(err.strerror or str(err))

    def check(self) -> None:
        """Close a file that was removed or renamed, so that the next write creates a new one."""
        if self._fd < 0:
            return
        try:
            there = os.lstat(f"{self._folder}/{self._date}/{self._name}")
            gone = not os.path.samestat(os.fstat(self._fd), there)
        except OSError:
            gone = True
        if gone:
            self.close()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1

    def _open_for(self, date: str) -> None:
        if date == self._date:
            if self._fd >= 0:
                return
            if self._fault is not None and time.monotonic() < self._retry_at:
                raise OSError(errno.EAGAIN, self._fault)
        self.close()
        self._date, self._file_mid_line = date, False
        self._retry_at = time.monotonic() + RETRY_S
        self._fd = _open_regular(f"{self._folder}/{date}", self._name)

    def _after_gap(self, data: bytes) -> bytes:
        """Return `data` without the rest of a line whose beginning was dropped."""
        if self._file_mid_line:
            os.write(self._fd, b"\n")  # first, because nothing is counted yet should it fail
            self._file_mid_line = False
        if self._lost_mid_line:
            end = data.find(b"\n") + 1 or len(data)
            self._drop(data[:end])
            data = data[end:]
        return data

    def _drop(self, data: bytes) -> None:
        if data:
            self.dropped += data.count(b"\n")
            self._lost_mid_line = data[-1] != _NEWLINE

    def _turn(self, fault: str | None) -> None:
        before, self._fault = self._fault, fault
        if (before is None) != (fault is None):
            self._on_fault(fault)


def _open_regular(folder: str, name: str) -> int:
    """Return a descriptor to append to. Raises OSError for a link, a FIFO or a device; never blocks."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    parent = os.open(folder, _OPEN_FOLDER)
    try:
        fd = os.open(name, _OPEN_FILE, 0o666, dir_fd=parent)
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"{name} is not a regular file")
    return fd
