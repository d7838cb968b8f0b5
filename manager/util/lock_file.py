"""Open a file to lock it, which no other user may open.

Who can open it can lock it, and block every manager.
"""

import fcntl
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from manager.util import ownership
from manager.util.polling import wait_until
from manager.util.trusted_folder import open_in_trusted

MODE = 0o600
POLL_S = 0.01


def open_lock(path: Path) -> int:
    """Return a descriptor of the file, created if it is missing. Raises OSError.

    Rights that an earlier version or a copy of the folder has given to others are taken away, as far as this
    user may.
    """
    descriptor = open_in_trusted(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, MODE)
    with suppress(OSError):  # a disk gone read-only, or another user's file
        if os.fstat(descriptor).st_mode & 0o777 != MODE:
            os.fchmod(descriptor, MODE)
        if owner := ownership.inherited_owner(path):
            os.fchown(descriptor, *owner)
    return descriptor


def wait_for_lock(descriptor: int, operation: int, within_s: float) -> None:
    """Lock the file by LOCK_SH or LOCK_EX, or go on without after so many seconds."""
    wait_until(partial(_is_locked, descriptor, operation), time.monotonic() + within_s, POLL_S)


def _is_locked(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
