"""Our own stdout and stderr: lossless, and never waited for."""

import os
import select
import time

from supervisor.loop import WRITE, Action, Loop

MAX_PENDING = 1 << 20  # bytes; beyond it our own lines are left out, they are in daemon.log too


class Outlet:
    """Writes what the reader takes and keeps the rest, which it asks its writers not to let grow."""

    def __init__(self, loop: Loop, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._pending = b""
        self._at_line_start = True
        self._when_empty: Action | None = None

    def write(self, data: bytes) -> bool:
        """True when all is written; else the rest follows by itself, and the caller should wait for that."""
        self._at_line_start = data.endswith(b"\n")
        if self._pending:
            self._pending += data
            return False
        self._pending = data
        self._push()
        if self._pending:
            self._loop.watch(self._fd, WRITE, self._flush)
        return not self._pending

    def write_line(self, line: bytes) -> None:
        """A line of our own, beside what the bot writes here."""
        if len(self._pending) < MAX_PENDING:
            self.write(line if self._at_line_start else b"\n" + line)

    def when_empty(self, action: Action | None) -> None:
        """Call `action` once when nothing is pending any more."""
        self._when_empty = action

    def flush_until(self, deadline: float) -> None:
        """Wait for the reader, at most until then (monotonic). For the very end, when the loop has stopped."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while self._pending and (left := deadline - time.monotonic()) > 0:
            poll.poll(left * 1000)
            self._push()

    def _flush(self) -> None:
        self._push()
        if not self._pending:
            self._loop.unwatch(self._fd)
            action, self._when_empty = self._when_empty, None
            if action is not None:
                action()

    def _push(self) -> None:
        """Write until all is written or the reader must read first. A file, which epoll refuses, takes all."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""  # nobody can read any more
