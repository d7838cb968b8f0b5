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
from manager.util import ownership
from manager.util.trusted_folder import open_in_trusted

NAME = ".starts.lock"
MODE = 0o600


@contextmanager
def under_way(fleet: Fleet) -> Iterator[None]:
    """Hold the shared lock. Errors are ignored: on a full disk, starts still check the marks."""
    descriptor = open_file(fleet.lock_file)
    try:
        if descriptor is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
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
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError):
        descriptor = open_in_trusted(path, os.O_RDWR | os.O_CREAT | flags, MODE)
        with suppress(OSError):
            if owner := ownership.inherited_owner(path):
                os.fchown(descriptor, *owner)
        return descriptor
    with suppress(OSError):
        return os.open(path, os.O_RDONLY | flags)
    return None
