"""Track starts in progress: each holds a shared lock from before its first check of the halt mark until after
its last.

A process that makes marks, and then gets the exclusive lock, knows that every start that missed them has
ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.util.lock_file import open_lock, wait_for_lock

NAME = ".starts.lock"
SHARED_WITHIN_S = 5.0
"""Who makes marks holds it for a moment. Who holds it for longer is no manager: no start waits for it."""


@contextmanager
def under_way(fleet: Fleet) -> Iterator[None]:
    """Hold the shared lock. Errors are ignored: on a full disk, starts still check the marks."""
    descriptor = open_file(fleet.lock_file)
    try:
        if descriptor is not None:
            wait_for_lock(descriptor, fcntl.LOCK_SH, SHARED_WITHIN_S)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def have_ended(fleet: Fleet) -> bool:
    """Return whether every start that began before has ended."""
    descriptor = open_file(fleet.lock_file)
    if descriptor is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def open_file(lock_file: Path) -> int | None:
    """Return a descriptor; None if the file cannot be created or opened.

    Managers that know halt marks keep it open while they wait for the fleet's lock or hold it.
    """
    path = lock_file.with_name(NAME)
    with suppress(OSError):
        return open_lock(path)
    with suppress(OSError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    return None
