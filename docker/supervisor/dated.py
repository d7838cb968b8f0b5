"""Log files in one folder per local day.

Writing never blocks and never raises: lines that cannot be written are counted.
"""

# ruff: noqa: PTH102, PTH104
# (pathlib is 0.8 MB of resident memory)

import errno
import fcntl
import os
import stat
import time
from _collections_abc import Callable

from supervisor.clock import LocalDate
from supervisor.day_budget import DayBudget
from supervisor.suppress import suppress

RETRY_S = 1.0  # between two attempts to make the folder or the file
MARKER = b"[supervisor] %12d lines dropped: these logs have reached their limit of %d MB a day\n"
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEWLINE = 10


class DatedFile:
    """Append to `FOLDER/YYYY-MM-DD/NAME`, which is opened at the first write of a day.

    After a gap it continues at the beginning of a line, so that halves of two lines are never joined. With a
    budget, a large file becomes a segment, and beyond the day's limit lines are counted in one last line.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        today: LocalDate,
        on_fault: Callable[[str | None], None],
        budget: DayBudget | None = None,
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
        self._budget = budget
        self._pending = b""
        self._size = 0  # of the open file
        self._marker_at = -1  # where the open file ends with the count of dropped lines
        self.dropped = 0  # lines
        self.over_limit = 0  # lines of this day that were dropped because of its limit

    def write(self, data: bytes) -> None:
        """Append `data`, or count the lines of it that could not be written."""
        self._pending = data
        try:
            self._open_for(self._today.name(time.time()))
            if self._fault is not None:
                self._after_gap()
            if self._budget is not None and self._pending:
                self._keep_within(self._budget)
            self._append(len(self._pending))
        except OSError as err:
            self._drop(len(self._pending))
            self._turn(err.strerror or str(err))

    def check(self) -> None:
        """Close a file that was removed or renamed, so that the next write creates a new one.

        Bring the count of lines that the day's limit has cost up to date.
        """
        if self._budget is not None:
            self._budget.tidy()
            if self._date and self._date != self._today.name(time.time()):
                self.close()
        if self._fd < 0:
            return
        self._mark()
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
            self._mark()
            with suppress(OSError):
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
        self.over_limit, self._marker_at = 0, -1
        self._fd = _open_regular(f"{self._folder}/{date}", self._name)
        self._size = os.fstat(self._fd).st_size
        if self._budget is not None:
            self._budget.use(f"{self._folder}/{date}")
            self._resume_marker(self._budget)

    def _append(self, count: int) -> None:
        """Write the first `count` bytes of what is pending."""
        while count:
            taken = self._put(self._pending[:count])
            self._file_mid_line = self._pending[taken - 1] != _NEWLINE
            self._pending = self._pending[taken:]
            count -= taken
            self._turn(None)

    def _put(self, data: bytes) -> int:
        taken = os.write(self._fd, data)
        self._size += taken
        if self._budget is not None:
            self._budget.add(self._name, taken)
        return taken

    def _keep_within(self, budget: DayBudget) -> None:
        """Make a segment of a file that is large, and drop what the day has no room for."""
        if self._marker_at < 0 and self._size + len(self._pending) > budget.segment:
            end = self._pending.find(b"\n") + 1 if self._file_mid_line else 0
            has_line_end = end > 0 or not self._file_mid_line
            if (has_line_end or self._size > 2 * budget.segment) and budget.has_room(self._name, end):
                self._append(end)
                self._set_aside(budget)
        if self._marker_at < 0 and not budget.has_room(self._name, len(self._pending)):
            if self._file_mid_line:
                self._append(self._pending.find(b"\n") + 1)
            self._end_file(budget)
        if self._marker_at >= 0:
            self.over_limit += self._pending.count(b"\n")
            self._lost_mid_line = self._pending[-1:] != b"\n"
            self._pending = b""

    def _set_aside(self, budget: DayBudget) -> None:
        """Continue in a new file."""
        folder = f"{self._folder}/{self._date}"
        os.rename(f"{folder}/{self._name}", f"{folder}/{budget.segment_name(self._name)}")
        os.close(self._fd)
        self._fd = -1
        self._fd = _open_regular(folder, self._name)
        self._size, self._file_mid_line = 0, False
        budget.tidy()

    def _end_file(self, budget: DayBudget) -> None:
        """Write the last line of the day: from now on it is replaced, and nothing is appended."""
        if self._file_mid_line:
            self._put(b"\n")
            self._file_mid_line = False
        self._marker_at = self._size
        self._put(MARKER % (0, budget.limit_mb))
        self._freeze()
        budget.on_limit(self._name)

    def _resume_marker(self, budget: DayBudget) -> None:
        """Continue the count that an earlier supervisor of this day has left."""
        marker = MARKER % (0, budget.limit_mb)
        at = self._size - len(marker)
        if at < 0:
            return
        head, _zero, tail = marker.partition(b"%12d" % 0)
        line = os.pread(self._fd, len(marker), at)
        count = line[len(head) : len(line) - len(tail)]
        if line.startswith(head) and line.endswith(tail) and count.strip().isdigit():
            self._marker_at, self.over_limit = at, int(count)
            self._freeze()

    def _freeze(self) -> None:
        """Let the last line be replaced: Linux appends whatever is written while O_APPEND is set."""
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_APPEND)

    def _mark(self) -> None:
        if self._marker_at >= 0 and self._budget is not None:
            with suppress(OSError):
                os.pwrite(self._fd, MARKER % (self.over_limit, self._budget.limit_mb), self._marker_at)

    def _after_gap(self) -> None:
        """Continue at the beginning of a line: without the rest of one whose beginning was dropped."""
        if self._file_mid_line:
            self._put(b"\n")  # first, because nothing is counted yet should it fail
            self._file_mid_line = False
        if self._lost_mid_line:
            self._drop(self._pending.find(b"\n") + 1 or len(self._pending))

    def _drop(self, count: int) -> None:
        """Count the lines of the first `count` bytes of what is pending, and forget them."""
        if count:
            self.dropped += self._pending.count(b"\n", 0, count)
            self._lost_mid_line = self._pending[count - 1] != _NEWLINE
            self._pending = self._pending[count:]

    def _turn(self, fault: str | None) -> None:
        before, self._fault = self._fault, fault
        if (before is None) != (fault is None):
            self._on_fault(fault)


def _open_regular(folder: str, name: str) -> int:
    """Return a descriptor to append to. Raises OSError for a link, a FIFO or a device; never blocks."""
    with suppress(FileExistsError):
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
