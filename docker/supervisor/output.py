"""Write the container's stdout and stderr: complete while they are read, never blocking the bot for long."""

import os
import select
import time

from supervisor.loop import WRITE, Action, Loop

MAX_PENDING = 1 << 20  # bytes; beyond it our own lines are left out, they are in daemon.log too
GAP = (
    b"[supervisor] this output was not read for a while: %d lines are missing here; the dated log files "
    b"have them\n"
)


class Output:
    """Write what the reader takes and buffers the rest; its writers pause while something is buffered.

    A reader that takes nothing for `timeout` seconds is gone: an engine that is stopped or replaced while its
    containers run on. Lines are then dropped and counted until it is back, so that the bot is not blocked.
    """

    def __init__(self, loop: Loop, fd: int, timeout: float) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._timeout = timeout
        self._pending = b""
        self._at_line_start = True
        self._when_empty: Action | None = None
        self._reader_is_gone = False
        self._missing = 0  # lines of the present gap
        self._lost_mid_line = False  # the last byte that was dropped is no line end

    def write(self, data: bytes) -> bool:
        """Write or buffer `data`. Returns False when the caller should pause until the buffer is empty."""
        if self._reader_is_gone:
            self._drop(data)
            return True
        if self._lost_mid_line:
            data = self._from_line_start(data)
        return self._take(data)

    def write_line(self, line: bytes) -> None:
        """Write a line of the supervisor, at the beginning of a line."""
        if not self._reader_is_gone and len(self._pending) < MAX_PENDING:
            self._take(line if self._at_line_start else b"\n" + line)

    def when_empty(self, action: Action | None) -> None:
        """Call `action` once, when the buffer is empty."""
        self._when_empty = action

    def flush_until(self, deadline: float) -> None:
        """Wait for the reader, at most until `deadline` (monotonic).

        To be called after the loop has stopped.
        """
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        while self._pending and (left := deadline - time.monotonic()) > 0:
            poll.poll(left * 1000)
            self._push()

    def _take(self, data: bytes) -> bool:
        if data:
            self._at_line_start = data.endswith(b"\n")
        if self._pending:
            self._pending += data
            return False
        self._pending = data
        self._push()
        if self._pending:
            self._loop.watch(self._fd, WRITE, self._flush)
            self._await_reader()
        return not self._pending

    def _flush(self) -> None:
        self._push()
        if self._pending:
            self._await_reader()
            return
        self._loop.unwatch(self._fd)
        self._loop.cancel(self._timer)
        if self._reader_is_gone:
            self._on_reader_back()
        self._resume_writers()

    @property
    def _timer(self) -> str:
        return f"reader of {self._fd}"

    def _await_reader(self) -> None:
        if not self._reader_is_gone:
            self._loop.after(self._timer, self._timeout, self._give_up_on_reader)

    def _give_up_on_reader(self) -> None:
        self._reader_is_gone = True
        self._resume_writers()

    def _on_reader_back(self) -> None:
        """Report the lines that were dropped, once the reader has taken the buffer."""
        self._reader_is_gone = False
        missing, self._missing = self._missing + self._lost_mid_line, 0
        if missing:
            self.write_line(GAP % missing)

    def _resume_writers(self) -> None:
        action, self._when_empty = self._when_empty, None
        if action is not None:
            action()

    def _drop(self, data: bytes) -> None:
        self._missing += data.count(b"\n")
        self._lost_mid_line = not data.endswith(b"\n")

    def _from_line_start(self, data: bytes) -> bytes:
        """Return `data` without the rest of a line whose beginning was dropped."""
        _rest, end, data = data.partition(b"\n")
        self._lost_mid_line = not end
        return data

    def _push(self) -> None:
        """Write until the buffer is empty or the reader has to read first. Never blocks."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""  # it cannot be read any more
