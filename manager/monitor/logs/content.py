"""Read the content of a dated file at any place; also of a segment that the supervisor has compressed.

The files are a bot's, who may have written anything.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from typing import IO, Protocol

from manager.util import scratch

GZ = ".gz"
BLOCK = 1 << 20
MAX_EXPANDED = 1 << 30
"""More than a segment at the highest limit that makes sense: a file of a kilobyte can claim to be larger."""
DISK_BLOCK = 512
"""The unit of `st_blocks`."""
GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Content(Protocol):
    """Hold a text of a size that was fixed when it was opened."""

    size: int
    is_inflated: bool
    """Whether the text may be far larger than what its file takes on the disk: a bot can make any amount."""

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`; fewer if there are not as many."""

    def head(self, size: int) -> bytes:
        """Return the first bytes, without expanding the rest."""

    def close(self) -> None:
        """Give back what reading has taken."""


class Plain:
    """Hold a file that is read where it is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.size = status.st_size
        self.is_inflated = status.st_size > 2 * max(status.st_blocks * DISK_BLOCK, BLOCK)  # with holes

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, start)

    def head(self, size: int) -> bytes:
        return self.read(0, size)

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the caller."""


class Compressed:
    """Hold a gzip file, which is expanded into a temporary file when the first byte is read."""

    is_inflated = True

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._expanded: IO[bytes] | None = None
        length = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, 4, max(0, length - 4))
        self.size = min(int.from_bytes(tail, "little"), MAX_EXPANDED) if length > 18 else 0

    def read(self, start: int, size: int) -> bytes:
        if self._expanded is None:
            self._expanded = self._expand()
        return os.pread(self._expanded.fileno(), size, start)

    def head(self, size: int) -> bytes:
        try:
            return zlib.decompressobj(GZIP_WINDOW).decompress(os.pread(self._descriptor, BLOCK, 0), size)
        except zlib.error:
            return b""

    def close(self) -> None:
        if self._expanded is not None:
            self._expanded.close()
            self._expanded = None

    def _expand(self) -> IO[bytes]:
        """Return a temporary file with the content, up to the promised size, or to where it is damaged."""
        target = tempfile.TemporaryFile(buffering=0, dir=scratch.folder())  # noqa: SIM115 - closed by `close`
        expander, offset, left = zlib.decompressobj(GZIP_WINDOW), 0, self.size
        try:
            while left and (block := os.pread(self._descriptor, BLOCK, offset)):
                offset += len(block)
                while left and block:
                    data = expander.decompress(block, min(BLOCK, left))
                    target.write(data)
                    left -= len(data)
                    block = expander.unconsumed_tail
        except zlib.error:
            pass
        return target
