"""Read an instance's dated files, `YYYY-MM-DD/bot_stdout.log`, in a folder that its bot owns.

The content is untrusted: symlinks are not followed, reads never block, and memory is bounded.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from manager.engine.streams import Stream
from manager.monitor.logs.lines import MAX_LINE_BYTES
from manager.util.time_parse import is_day

MAX_DAYS = 400
"""Day folders that are opened, newest first: a bot can create any number of them."""

BLOCK = 1 << 20
MAX_TAIL_BYTES = 1 << 28
"""Limit of the search for the last N lines, in a file without line ends."""

MISSING_ERRORS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""The file is missing, or not a regular file in a regular folder: this day has no lines."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class DayFile(NamedTuple):
    """One day's file: its offset in the whole text, and its size when it was opened."""

    day: str
    name: str
    descriptor: int
    start: int
    size: int


class DatedFiles:
    """Present all files of one stream as a single text, oldest first, with the sizes they had when opened."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        """Open the files; a missing folder is an empty text. Raises OSError for an unreadable folder."""
        self._opened = ExitStack()
        self.parts: list[DayFile] = []
        self.size = 0
        try:
            for day, descriptor in self._open(folder, f"bot_{stream}.log"):
                size = os.fstat(descriptor).st_size
                self.parts.append(DayFile(day, f"{day}/bot_{stream}.log", descriptor, self.size, size))
                self.size += size
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._opened.close()

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`; fewer at the end, or if a file has been truncated since."""
        pieces = []
        for part in self.parts:
            first, last = max(start, part.start), min(start + size, part.start + part.size)
            if first < last:
                pieces.append(os.pread(part.descriptor, last - first, first - part.start))
        return b"".join(pieces)

    def lines(self, start: int, end: int) -> Iterator[tuple[DayFile, bytes]]:
        """Yield (day's file, line without its end) between two offsets."""
        for part in self.parts:
            first, last = max(start, part.start), min(end, part.start + part.size)
            if first < last:
                yield from ((part, line) for line in self._lines_of(first, last))

    def day_start(self, day: str) -> int:
        """Return the offset of this day, or of the next one that exists."""
        return next((part.start for part in self.parts if part.day >= day), self.size)

    def has_day(self, day: str) -> bool:
        return any(part.day == day for part in self.parts)

    def rfind(self, needle: bytes, end: int) -> int:
        """Return the last offset of `needle` that ends before `end`; -1 if not found, like bytes.rfind."""
        while end >= len(needle):
            start = max(0, end - BLOCK - len(needle))
            position = self.read(start, end - start).rfind(needle)
            if position >= 0:
                return start + position
            if start == 0:
                break
            end = start + len(needle) - 1
        return -1

    def tail_start(self, count: int, end: int) -> int:
        """Return the offset of the last `count` lines before `end`, searching backwards."""
        position, remaining = end, count
        if position and self.read(position - 1, 1) == b"\n":
            remaining += 1  # the last line's own end
        while position > max(0, end - MAX_TAIL_BYTES):
            start = max(0, position - BLOCK)
            block = self.read(start, position - start)
            ends = block.count(b"\n")
            if ends >= remaining:
                line_end = len(block)
                for _end in range(remaining):
                    line_end = block.rindex(b"\n", 0, line_end)
                return start + line_end + 1
            remaining -= ends
            position = start
        return position

    def _lines_of(self, first: int, last: int) -> Iterator[bytes]:
        remainder = b""
        while first < last:
            block = self.read(first, min(BLOCK, last - first))
            if not block:
                break
            first += len(block)
            *lines, remainder = (remainder + block).split(b"\n")
            yield from lines
            while len(remainder) > MAX_LINE_BYTES:
                yield remainder[:MAX_LINE_BYTES]
                remainder = remainder[MAX_LINE_BYTES:]
        if remainder:
            yield remainder

    def _open(self, folder: Path, name: str) -> Iterator[tuple[str, int]]:
        """Yield (day, descriptor) of the regular files of this name, oldest first."""
        try:
            root = self._keep(os.open(folder, _FOLDER))
        except FileNotFoundError:
            return
        with os.scandir(root) as entries:
            days = sorted(entry.name for entry in entries if is_day(entry.name))
        for day in days[-MAX_DAYS:]:
            try:
                day_folder = os.open(day, _FOLDER, dir_fd=root)
                try:
                    descriptor = self._keep(os.open(name, _FILE, dir_fd=day_folder))
                finally:
                    os.close(day_folder)
            except OSError as error:
                if error.errno in MISSING_ERRORS:
                    continue
                raise  # an unreadable file is reported, because its lines would be missing
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield day, descriptor

    def _keep(self, descriptor: int) -> int:
        self._opened.callback(os.close, descriptor)
        return descriptor
