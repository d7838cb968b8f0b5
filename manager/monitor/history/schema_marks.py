"""Tell from the first bytes of a bot's databases whether their tables are others than before.

That is cheap enough for each look, where reading the databases takes a copy. The bot may write anything
there: what is read is bounded, and only compared.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import islice
from pathlib import Path

from manager.typed import NamedTuple

Mark = tuple[object, ...]

MOST_FILES = 50
SQLITE, HEAD = b"SQLite format 3\0", 100
SCHEMA_COOKIE, USER_VERSION = slice(40, 44), slice(60, 64)
"""In a database's first bytes (sqlite.org, Database File Format): the first changes with every table."""
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
WAL_HEAD, FRAME_HEAD = 32, 24
MOST_FRAMES = 20_000
"""Of a write-ahead log at one look: SQLite empties it after a thousand, where nobody reads for long."""
FIRST_PAGE = (1).to_bytes(4, "big")


class _Log(NamedTuple):
    """Hold how far a write-ahead log was read. `head`: the database's first bytes that it had last."""

    use: tuple[int, bytes] = (0, b"")
    frames: int = 0
    head: bytes | None = None


class SchemaMarks:
    """Remember how far each write-ahead log was read: the next look reads what is new in it."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}

    def of_folder(self, folder: Path) -> frozenset[Mark]:
        """Return what tells apart the databases in a folder, and their tables."""
        marks = set()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in islice(entries, MOST_FILES):
                with suppress(OSError):
                    if (head := _head(entry.path)) is not None:
                        head = self._head_in_log(f"{entry.path}-wal") or head
                        marks.add((entry.name, entry.inode(), head[SCHEMA_COOKIE], head[USER_VERSION]))
        return frozenset(marks)

    def _head_in_log(self, path: str) -> bytes | None:
        """Return the first bytes that the write-ahead log has last; None if it has none."""
        before = self._logs.pop(path, _Log())
        try:
            descriptor = _open(path)
        except OSError:
            return None
        try:
            log = self._logs[path] = _read_on(descriptor, before)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return log.head


def _head(path: str) -> bytes | None:
    """Return a database's first bytes; None for another file. Raises OSError."""
    descriptor = _open(path)
    try:
        head = os.pread(descriptor, HEAD, 0)
    finally:
        os.close(descriptor)
    return head if len(head) == HEAD and head.startswith(SQLITE) else None


def _read_on(descriptor: int, before: _Log) -> _Log:
    """Read what a write-ahead log has more than before, all of it if it was begun anew. Raises OSError."""
    file_head = os.pread(descriptor, WAL_HEAD, 0)
    if file_head[:4] not in WAL_MAGIC:
        return _Log()
    page_size, salts = int.from_bytes(file_head[8:12], "big"), file_head[16:24]
    use = os.fstat(descriptor).st_ino, salts
    frames, head = (before.frames, before.head) if before.use == use else (0, None)
    for number in range(frames, frames + MOST_FRAMES):
        at = WAL_HEAD + number * (FRAME_HEAD + page_size)
        frame = os.pread(descriptor, FRAME_HEAD, at)
        if len(frame) < FRAME_HEAD or frame[8:16] != salts:  # of an earlier use of the file
            return _Log(use, number, head)
        if frame[:4] == FIRST_PAGE:
            page = os.pread(descriptor, HEAD, at + FRAME_HEAD)
            head = page if len(page) == HEAD and page.startswith(SQLITE) else head
    return _Log(use, frames + MOST_FRAMES, head)


def _open(path: str) -> int:
    """Open a regular file, and nothing else. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(path)
    return descriptor
