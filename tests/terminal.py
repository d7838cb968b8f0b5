"""Run a command of the manager on a terminal of its own, as a person does."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time

import pytest

from manager.util.readable import wait_readable
from tests.fleet import Project


def on_terminal(
    fleet: Project, *args: str, until: str = "", press: bytes = b"\x03", timeout: float = 60
) -> tuple[str, int]:
    """What a command draws on a terminal, and its exit code; at `until`, `press` (Ctrl-C) is typed."""
    environ = {**os.environ, **fleet.environ, "NO_COLOR": "1", "COLUMNS": "100", "LINES": "30"}
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background ignores it
        os.chdir(fleet.folder)
        os.execve(sys.executable, fleet.command(*args), environ)
    drawn, deadline, pressed = b"", time.monotonic() + timeout, not until
    while True:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            pytest.fail(f"no end within {timeout} s: {drawn!r}")
        if wait_readable(terminal, 0.2):
            try:
                drawn += os.read(terminal, 65536)
            except OSError:
                break
        if not pressed and until.encode() in drawn:
            pressed = True
            os.write(terminal, press)
    os.close(terminal)
    return drawn.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
