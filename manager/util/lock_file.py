"""Open a file to lock it, which no other user may open.

Who can open it can lock it, and block every manager.
"""

import os
from contextlib import suppress
from pathlib import Path

from manager.util import ownership
from manager.util.trusted_folder import open_in_trusted

MODE = 0o600


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
