"""One manager at a time changes a fleet. The lock dies with its holder; readers never wait for it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manager.errors import Locked, ManagerError
from manager.i18n import Text

POLL_S = 0.05


@contextmanager
def held(path: Path, command: str, wait: float = 0.0, *, force: bool = False) -> Iterator[None]:
    """Holds the fleet's lock. Raises Locked after `wait` seconds, naming the holder; `force` goes on without it."""
    descriptor = _open(path)
    try:
        if not _acquired(descriptor, wait) and not force:
            raise Locked(
                "the fleet is locked by {holder}; wait for it, or use --lock-wait SECONDS",
                holder=_holder(path),
            )
        _sign(descriptor, command)
        yield
    finally:
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock right now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return not path.exists()
    try:
        return _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise ManagerError("cannot open the lock {path}: {why}", path=path, why=error.strerror) from error


def _acquired(descriptor: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not _try(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, command: str) -> None:
    """Leaves a note for those who are locked out. A full disk must not keep a fleet from being stopped."""
    note = {"pid": os.getpid(), "command": command, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
    except OSError as error:
        print(Text("note: cannot sign the lock: {why}", why=error.strerror), file=sys.stderr)


def _holder(path: Path) -> Text:
    try:
        note = json.loads(path.read_bytes())
        return Text(
            "`manager {command}` (pid {pid}, since {since})",
            command=note["command"], pid=note["pid"], since=note["since"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return Text("another manager")
