"""Find the `manager serve` that runs for a fleet, and end it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import manager
from manager.errors import TimedOut
from manager.fleet import lock
from manager.fleet.old_daemon import is_alive
from manager.typed import NamedTuple
from manager.util import atomic_file
from manager.util.polling import wait_until
from manager.web.places import Places

MODE = 0o600
ENDS_WITHIN_S = 60.0
"""Messages that are being sent, and starts in progress, are finished."""
POLL_S = 0.05


class Running(NamedTuple):
    """Say what runs. `stamp`: of its code; `words`: its options; `is_detached`: in the background."""

    pid: int
    url: str
    port: int
    stamp: str
    words: Sequence[str]
    is_detached: bool


def find(at: Places) -> Running | None:
    """Return the running one; None where none runs, or it is only about to."""
    note = lock.held_by(at.lock)
    server = last(at)
    return server if note is not None and server is not None and server.pid == note.get("pid") else None


def last(at: Places) -> Running | None:
    """Return the last one, which may have ended."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        server = Running(**json.loads(at.running.read_text(encoding="utf-8")))
        if isinstance(server.pid, int) and isinstance(server.port, int):
            return server
    return None


def write(at: Places, running: Running) -> None:
    """Say what runs. Raises OSError."""
    atomic_file.write_atomically(at.running, running._asdict(), MODE)


def end(at: Places) -> bool:
    """End the running one and wait for it. Returns whether there was one. Raises TimedOut."""
    note = lock.held_by(at.lock)
    if note is None:
        return False
    deadline = time.monotonic() + ENDS_WITHIN_S
    pid = note.get("pid")
    told: int | None = None

    def has_let_go() -> bool:
        nonlocal pid, told
        if (holder := lock.held_by(at.lock)) is None:
            return True
        pid = holder.get("pid", pid)
        if isinstance(pid, int) and pid != told:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            told = pid
        return False

    if not wait_until(has_let_go, deadline, POLL_S):
        raise TimedOut("`manager serve` (pid {pid}) does not end: kill -9 {pid}", pid=pid)
    # It lets the lock go shortly before its end.
    wait_until(lambda: not (isinstance(pid, int) and is_alive(pid)), deadline, POLL_S)
    return True


def tell_access(at: Places) -> None:
    """Tell the running one that passwords or tokens have changed."""
    if (server := find(at)) is not None:
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGHUP)


def stamp() -> str:
    """Return what is another one whenever a file of the manager is."""
    root = Path(manager.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.suffix in {".py", ".js", ".css", ".html", ".mo"}:
            status = file.stat()
            digest.update(f"{file.relative_to(root)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
