"""Read the content of a dated file at any place; also of a segment that the supervisor has compressed.

The files are a bot's, who may have written anything.
"""

from __future__ import annotations

import os
import zlib

from manager.typed import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import IO

GZ = ".gz"
BLOCK = 1 << 20
MAX_EXPANDED = 1 << 30
"""More than a segment at the highest limit that makes sense: a file of a kilobyte can claim to be larger."""
USUAL_RATIO = 100
"""Bytes of text for each byte of a gzip file, at most, where the lines have times or numbers. What has more
is taken for a bomb, and read within limits."""
PIECE = 1 << 18
KEPT = 1 << 18
"""Text that is kept behind what was read: the search for a line's start looks back so far."""
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
    """Hold a gzip file, which is expanded as it is read.

    Reading forwards takes no place. Who goes back twice, as a search for the last lines does, has it expanded
    into a temporary file.
    """

    _at: int
    """Where in the text its part begins that was expanded last."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._expanded: IO[bytes] | None = None
        self._restarts = 0
        self._rewind()
        length = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, 4, max(0, length - 4))
        self.size = min(int.from_bytes(tail, "little"), MAX_EXPANDED) if length > 18 else 0
        self.is_inflated = self.size > USUAL_RATIO * length

    def read(self, start: int, size: int) -> bytes:
        if self._expanded is None and start < self._at:
            self._restarts += 1
            self._rewind()
            if self._restarts > 1:
                self._expanded = self._expand()
        if self._expanded is not None:
            return os.pread(self._expanded.fileno(), size, start)
        end = min(start + size, self.size)
        while self._at + len(self._window) < end and (piece := self._next()):
            del self._window[: max(0, min(start - KEPT - self._at, len(self._window)))]
            self._at = self._inflated - len(piece) - len(self._window)
            self._window += piece
        return bytes(self._window[max(0, start - self._at) : max(0, end - self._at)])

    def head(self, size: int) -> bytes:
        try:
            return zlib.decompressobj(GZIP_WINDOW).decompress(os.pread(self._descriptor, BLOCK, 0), size)
        except zlib.error:
            return b""

    def close(self) -> None:
        self._rewind()
        self._restarts = 0
        if self._expanded is not None:
            self._expanded.close()
            self._expanded = None

    def _rewind(self) -> None:
        self._expander = zlib.decompressobj(GZIP_WINDOW)
        self._offset = 0  # in the file
        self._left = b""  # read from it, and not expanded yet
        self._inflated = 0
        self._window = bytearray()  # the text that was expanded last
        self._at = 0

    def _next(self) -> bytes:
        """Return the next piece of the text; none at its promised size, or where the file is damaged."""
        try:
            while self._inflated < self.size:
                if not self._left:
                    self._left = os.pread(self._descriptor, PIECE, self._offset)
                    self._offset += len(self._left)
                    if not self._left:
                        break
                piece = self._expander.decompress(self._left, min(PIECE, self.size - self._inflated))
                self._left = self._expander.unconsumed_tail
                if piece:
                    self._inflated += len(piece)
                    return piece
        except zlib.error:
            pass
        return b""

    def _expand(self) -> IO[bytes]:
        """Return a temporary file with the content, up to the promised size, or to where it is damaged."""
        import tempfile  # with what makes random names, and three kinds of compression

        from manager.util import scratch

        target = tempfile.TemporaryFile(buffering=0, dir=scratch.folder())  # noqa: SIM115 - closed by `close`
        while piece := self._next():
            target.write(piece)
        self._rewind()
        return target
