"""Our own stdout and stderr: complete while somebody reads them, and never a reason for a bot to stand still."""

import os
import select
import time

from supervisor.loop import WRITE, Action, Loop

MAX_PENDING = 1 << 20  # bytes; beyond it our own lines are left out, they are in daemon.log too
GAP = b"[supervisor] nobody read this output for a while: %d lines are missing here; the dated log files have them\n"


class Outlet:
    """Writes what the reader takes and keeps the rest, which it asks its writers not to let grow.

    A reader that takes nothing for `patience` seconds is away (an engine that is stopped or replaced while its containers
    run on). What is written then is dropped and counted, so that the bot goes on, until the reader is back.
    """

    def __init__(self, loop: Loop, fd: int, patience: float) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._patience = patience
        self._pending = b""
        self._at_line_start = True
        self._when_empty: Action | None = None
        self._is_away = False
        self._missing = 0  # lines of the present gap
        self._lost_mid_line = False  # the last byte that was dropped is no line end

    def write(self, data: bytes) -> bool:
        """True when the caller may go on; else the rest follows by itself, and the caller should wait for that."""
        if self._is_away:
            self._drop(data)
            return True
        if self._lost_mid_line:
            data = self._from_line_start(data)
        return self._take(data)

    def write_line(self, line: bytes) -> None:
        """A line of our own, beside what the bot writes here."""
        if not self._is_away and len(self._pending) < MAX_PENDING:
            self._take(line if self._at_line_start else b"\n" + line)

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
        if self._is_away:
            self._go_on()
        self._let_writers_go()

    @property
    def _timer(self) -> str:
        return f"reader of {self._fd}"

    def _await_reader(self) -> None:
        if not self._is_away:
            self._loop.after(self._timer, self._patience, self._lose_patience)

    def _lose_patience(self) -> None:
        self._is_away = True
        self._let_writers_go()

    def _go_on(self) -> None:
        """The reader is back, and has taken what was kept for it."""
        self._is_away = False
        missing, self._missing = self._missing + self._lost_mid_line, 0
        if missing:
            self.write_line(GAP % missing)

    def _let_writers_go(self) -> None:
        action, self._when_empty = self._when_empty, None
        if action is not None:
            action()

    def _drop(self, data: bytes) -> None:
        self._missing += data.count(b"\n")
        self._lost_mid_line = not data.endswith(b"\n")

    def _from_line_start(self, data: bytes) -> bytes:
        """Without the rest of a line whose beginning was dropped."""
        _rest, end, data = data.partition(b"\n")
        self._lost_mid_line = not end
        return data

    def _push(self) -> None:
        """Write until all is written or the reader must read first. A file, which epoll refuses, takes all."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""  # nobody can read any more
