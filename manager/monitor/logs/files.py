"""Read an instance's dated files, `YYYY-MM-DD/bot_stdout.log`, in a folder that its bot owns.

The content is untrusted: symlinks are not followed, reads never block, and memory is bounded.
"""

import errno
import math
import os
import re
import stat
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from manager.engine.streams import Stream
from manager.monitor.logs import bots_zone
from manager.monitor.logs.content import GZ, Compressed, Content, Plain
from manager.monitor.logs.lines import MAX_LINE_BYTES
from manager.typed import NamedTuple
from manager.util.time_parse import is_day

MAX_DAYS = 400
"""Day folders that are opened, newest first: a bot can create any number of them."""

BLOCK = 1 << 20
STEP = 1 << 18
"""A compressed file is searched for a time in steps of so much."""
LARGE = 8 << 20
"""More than this is not read line by line to find a time: it would take longer than some tenths of a
second."""
HEAD = 1 << 16
MAX_INFLATED = 2 << 30
"""Text of one stream that is read out of gzip bombs and files with holes, newest first: of thousands of
kilobytes each a bot can make terabytes. Short lines take half a minute of processor time a gigabyte."""
MAX_INFLATED_S = 60.0
"""Processor time after which no more of them is read."""
MAX_TAIL_BYTES = 1 << 28
"""Limit of the search for the last N lines, in a file without line ends."""

MISSING_ERRORS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""The file is missing, or not a regular file in a regular folder: this day has no lines."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


MAX_SEGMENTS = 400
"""Segments of one day's file that are opened, newest first. The supervisor makes some dozens of them, with a
limit of gigabytes hundreds."""
SEGMENT = re.compile(rf"\.([1-9][0-9]{{0,5}})(\{GZ})?", re.ASCII)
"""What follows a file's name in that of its segment."""
OVER_LIMIT = re.compile(rb"\[supervisor\] +[0-9]+ lines dropped: [^\n]{1,200}\n")
"""Ends a day's file whose further lines the supervisor has dropped."""
MAX_MARKER = 256


class DayFile(NamedTuple):
    """Hold one day's file, or a segment of it: its offset in the whole text, and its size when it was opened.

    `written`: when it was last written to; `name`: relative to the instance's log folder.
    """

    day: str
    name: str
    content: Content
    start: int
    size: int
    written: float


class DatedFiles:
    """Present all files of one stream as a single text, oldest first, with the sizes they had when opened."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        """Open the files; a missing folder is an empty text. Raises OSError for an unreadable folder."""
        self._opened = ExitStack()
        self.parts: list[DayFile] = []
        self.size = 0
        self.left_out: list[DayFile] = []
        """What `lines` has not read, wholly or in part, because it would have been too much."""
        self._expanded: Compressed | None = None
        try:
            for day, name, descriptor in self._open(folder, f"bot_{stream}.log"):
                status = os.fstat(descriptor)
                content = Compressed(descriptor) if name.endswith(GZ) else Plain(descriptor)
                self._opened.callback(content.close)
                part = DayFile(day, f"{day}/{name}", content, self.size, content.size, status.st_mtime)
                self.parts.append(part)
                self.size += part.size
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._opened.close()

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`; fewer at either end, or if a file has been truncated since."""
        pieces = []
        for part in self.parts:
            first, last = max(start, part.start), min(start + size, part.start + part.size)
            if first < last:
                if part.content is not self._expanded and isinstance(part.content, Compressed):
                    if self._expanded is not None:
                        self._expanded.close()  # they are read one after another
                    self._expanded = part.content
                pieces.append(part.content.read(first - part.start, last - first))
        return b"".join(pieces)

    def blocks(self, start: int, end: int) -> Iterator[tuple[DayFile, list[bytes]]]:
        """Yield (day's file, some lines without their ends) between two offsets. `left_out` has what is too
        much.
        """
        beginnings = self._beginnings(start, end)
        began = time.thread_time()  # not while the lines are being shown
        for part in self.parts:
            first = beginnings.get(part.start, max(start, part.start))
            last = min(end, part.start + part.size)
            if first >= last:
                continue
            if part.content.is_inflated and time.thread_time() - began > MAX_INFLATED_S:
                self.left_out.append(part)
                continue
            yield from ((part, lines) for lines in self._blocks_of(first, last))

    def _beginnings(self, start: int, end: int) -> dict[int, int]:
        """Return start → first offset to read, of the parts that are not read from their start on."""
        beginnings: dict[int, int] = {}
        left = MAX_INFLATED
        for part in reversed(self.parts):
            first, last = max(start, part.start), min(end, part.start + part.size)
            if first >= last or not part.content.is_inflated:
                continue
            if last - first > left:
                self.left_out.insert(0, part)
                is_whole = isinstance(part.content, Compressed)
                beginnings[part.start] = last if is_whole or not left else self.line_start(last - left)
            left = max(0, left - (last - first))
        return beginnings

    def day_start(self, day: str) -> int:
        """Return the offset of this day, or of the next one that exists."""
        return next((part.start for part in self.parts if part.day >= day), self.size)

    def has_day(self, day: str) -> bool:
        return any(part.day == day for part in self.parts)

    def seek(self, moment: float, begin: int, end: int) -> int:
        """Return an offset between two others, close before the first line of this time or a later one.

        Only a range that takes long to read is searched, by the times at which its lines begin, and so as if
        the clock had never been set back. Without such times, it is `begin`.
        """
        return self._around(moment, begin, end)[0]

    def _around(self, moment: float, begin: int, end: int) -> tuple[int, int]:
        """Return two offsets, of which the first begins a line: between them is the first of this time."""
        part = self._part_before(moment, begin, end) if end - begin > LARGE else None
        if part is None:
            return begin, end
        low, high = max(begin, part.start), min(end, part.start + part.size)
        if isinstance(part.content, Compressed):
            return self._seek_forwards(moment, low, high), high
        while high - low > LARGE:
            middle = (low + high) // 2
            block = self.read(middle, min(BLOCK, high - middle))
            at = _first_time(block[block.find(b"\n") + 1 :])
            if at is None:
                break
            low, high = (middle, high) if at < moment else (low, middle)
        return (self.line_start(low) if low > begin else begin), high

    def _seek_forwards(self, moment: float, low: int, high: int) -> int:
        """Return the lower one in a compressed file, whose middle cannot be read without what precedes it."""
        at = low
        while at < high and (block := self.read(at, min(STEP, high - at))):
            last = _first_time(block, backwards=True)
            if last is None or last >= moment:
                break
            at += len(block)
        return self.line_start(at) if at > low else low

    def seek_end(self, moment: float, begin: int, end: int) -> int:
        """Return an offset behind the last line of this time or an earlier one, found in the same way."""
        low, high = self._around(moment, begin, end)
        return min(end, max(low + 2 * LARGE, high))

    def _part_before(self, moment: float, begin: int, end: int) -> DayFile | None:
        """Return the last part that begins before this time; None if that cannot be told."""
        parts = [part for part in self.parts if part.start < end and part.start + part.size > begin]
        first, beyond = 0, bisect_left(parts, moment, key=lambda part: bots_zone.start_of_day(part.day))
        while beyond - first > 1:
            middle = (first + beyond) // 2
            at = _first_time(parts[middle].content.head(HEAD))
            if at is None:
                return None
            first, beyond = (middle, beyond) if at < moment else (first, middle)
        return parts[first] if parts else None

    def line_start(self, offset: int) -> int:
        """Return the offset of the next line."""
        line_end = self.read(offset - 1, MAX_LINE_BYTES).find(b"\n") if offset > 0 else -1
        return offset + line_end if line_end >= 0 else offset

    def day_at(self, offset: int) -> str:
        """Return the day of the file at an offset."""
        return next((part.day for part in reversed(self.parts) if part.start <= offset), "")

    def ends_at_limit(self) -> bool:
        """Return whether the supervisor has dropped what followed the last line."""
        return OVER_LIMIT.search(self.read(self.size - MAX_MARKER, MAX_MARKER)) is not None

    def rfind(self, needle: bytes, end: int, begin: int = 0) -> int:
        """Return the last offset of `needle` from `begin` on that ends before `end`; -1 if not found, like
        bytes.rfind.
        """
        while end >= begin + len(needle):
            start = max(begin, end - BLOCK - len(needle))
            position = self.read(start, end - start).rfind(needle)
            if position >= 0:
                return start + position
            if start == begin:
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

    def _blocks_of(self, first: int, last: int) -> Iterator[list[bytes]]:
        remainder = b""
        while first < last:
            block = self.read(first, min(BLOCK, last - first))
            if not block:
                break
            first += len(block)
            *lines, remainder = (remainder + block).split(b"\n")
            while len(remainder) > MAX_LINE_BYTES:
                lines.append(remainder[:MAX_LINE_BYTES])
                remainder = remainder[MAX_LINE_BYTES:]
            if lines:
                yield lines
        if remainder:
            yield [remainder]

    def _open(self, folder: Path, name: str) -> Iterator[tuple[str, str, int]]:
        """Yield (day, name, descriptor) of the regular files and segments of this name, oldest first."""
        try:
            root = self._keep(os.open(folder, _FOLDER))
        except FileNotFoundError:
            return
        with os.scandir(root) as entries:
            days = sorted(entry.name for entry in entries if is_day(entry.name))
        for day in days[-MAX_DAYS:]:
            try:
                day_folder = os.open(day, _FOLDER, dir_fd=root)
            except OSError as error:
                if error.errno in MISSING_ERRORS:
                    continue
                raise
            try:
                for file in _with_segments(day_folder, name):
                    if (opened := self._open_file(day_folder, file)) is not None:
                        yield day, *opened
            finally:
                os.close(day_folder)

    def _open_file(self, folder: int, name: str) -> tuple[str, int] | None:
        """Return (name, descriptor) of a regular file; None if there is none.

        A segment may be compressed just now.
        """
        for candidate in (name, f"{name.removesuffix(GZ)}{GZ}"):
            try:
                descriptor = self._keep(os.open(candidate, _FILE, dir_fd=folder))
            except OSError as error:
                if error.errno in MISSING_ERRORS:
                    continue
                raise  # an unreadable file is reported, because its lines would be missing
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return candidate, descriptor
        return None

    def _keep(self, descriptor: int) -> int:
        self._opened.callback(os.close, descriptor)
        return descriptor


def _first_time(block: bytes, *, backwards: bool = False) -> float | None:
    """Return the time of the first line that begins with one, or of the last one that does."""
    lines = block.split(b"\n")
    if backwards:
        lines = lines[:0:-1]  # without what may be the end of a line
    return first_time(lines)


def first_time(lines: Iterable[bytes], latest: float = math.inf) -> float | None:
    """Return the time of the first of these lines that begins with one, which is not later than `latest`."""
    times = (bots_zone.line_time(line) for line in lines)
    return next((moment for moment in times if moment is not None and moment <= latest), None)


def _with_segments(folder: int, name: str) -> list[str]:
    """Return the segments of a file, oldest first, and the file itself. Of a segment that is being compressed
    the compressed form is not complete yet.
    """
    segments: dict[int, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(f"{name}."):
                continue
            match = SEGMENT.fullmatch(entry.name, len(name))
            if match and (not match[2] or int(match[1]) not in segments):
                segments[int(match[1])] = entry.name
    return [*(segments[number] for number in sorted(segments)[-MAX_SEGMENTS:]), name]
