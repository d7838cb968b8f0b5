"""The dated files of one instance, `YYYY-MM-DD/bot_stdout.log`, in a folder that belongs to its bot.

So nothing here follows a link, waits for a FIFO, or holds more than a piece of a file.
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
from manager.monitor.logs.lines import LONGEST
from manager.util.time_parse import is_day

MOST_DAYS = 400
"""Folders that are looked into, newest first: a bot can make as many as it likes."""

BLOCK = 1 << 20
TAIL_SEARCHED = 1 << 28
"""Bytes in which the beginning of the last N lines is looked for: a file without any line end has none."""

NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""Gone, a file for a folder, a link, a socket, a device: there is nothing of this day."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Part(NamedTuple):
    """One day's file: where it begins in the whole, and how much of it there was when it was opened."""

    day: str
    name: str
    descriptor: int
    start: int
    size: int


class DatedFiles:
    """All files of one stream as one text, oldest first, as long as they were when they were opened."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        """Raises OSError when the folder is there and cannot be read; no folder is a text of nothing."""
        self._opened = ExitStack()
        self.parts: list[Part] = []
        self.size = 0
        try:
            for day, descriptor in self._open(folder, f"bot_{stream}.log"):
                size = os.fstat(descriptor).st_size
                self.parts.append(Part(day, f"{day}/bot_{stream}.log", descriptor, self.size, size))
                self.size += size
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the files."""
        self._opened.close()

    def read(self, start: int, size: int) -> bytes:
        """These bytes of the whole; fewer where it ends, or where a file has been cut meanwhile."""
        pieces = []
        for part in self.parts:
            first, last = max(start, part.start), min(start + size, part.start + part.size)
            if first < last:
                pieces.append(os.pread(part.descriptor, last - first, first - part.start))
        return b"".join(pieces)

    def lines(self, start: int, end: int) -> Iterator[tuple[Part, bytes]]:
        """(day's file, line without its end) of everything between two offsets."""
        for part in self.parts:
            first, last = max(start, part.start), min(end, part.start + part.size)
            if first < last:
                yield from ((part, line) for line in self._lines_of(first, last))

    def day_start(self, day: str) -> int:
        """Where this day, or the next one there is, begins."""
        return next((part.start for part in self.parts if part.day >= day), self.size)

    def has_day(self, day: str) -> bool:
        """Whether there is something of this day."""
        return any(part.day == day for part in self.parts)

    def rfind(self, wanted: bytes, end: int) -> int:
        """The last offset at which `wanted` stands wholly before `end`; -1 for none, as bytes.rfind does."""
        while end >= len(wanted):
            start = max(0, end - BLOCK - len(wanted))
            found = self.read(start, end - start).rfind(wanted)
            if found >= 0:
                return start + found
            if start == 0:
                break
            end = start + len(wanted) - 1
        return -1

    def tail_start(self, count: int, end: int) -> int:
        """Where the last `count` lines before `end` begin, found from the end."""
        position, wanted = end, count
        if position and self.read(position - 1, 1) == b"\n":
            wanted += 1  # the end of the last line, which begins none
        while position > max(0, end - TAIL_SEARCHED):
            start = max(0, position - BLOCK)
            block = self.read(start, position - start)
            ends = block.count(b"\n")
            if ends >= wanted:
                at = len(block)
                for _end in range(wanted):
                    at = block.rindex(b"\n", 0, at)
                return start + at + 1
            wanted -= ends
            position = start
        return position

    def _lines_of(self, first: int, last: int) -> Iterator[bytes]:
        rest = b""
        while first < last:
            block = self.read(first, min(BLOCK, last - first))
            if not block:
                break
            first += len(block)
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            while len(rest) > LONGEST:
                yield rest[:LONGEST]
                rest = rest[LONGEST:]
        if rest:
            yield rest

    def _open(self, folder: Path, name: str) -> Iterator[tuple[str, int]]:
        """(day, descriptor) of the regular files of this name, oldest first."""
        try:
            root = self._keep(os.open(folder, _FOLDER))
        except FileNotFoundError:
            return
        with os.scandir(root) as entries:
            days = sorted(entry.name for entry in entries if is_day(entry.name))
        for day in days[-MOST_DAYS:]:
            try:
                inside = os.open(day, _FOLDER, dir_fd=root)
                try:
                    descriptor = self._keep(os.open(name, _FILE, dir_fd=inside))
                finally:
                    os.close(inside)
            except OSError as error:
                if error.errno in NO_FILE:
                    continue
                raise  # said, not passed over: its lines would be missing
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield day, descriptor

    def _keep(self, descriptor: int) -> int:
        self._opened.callback(os.close, descriptor)
        return descriptor
