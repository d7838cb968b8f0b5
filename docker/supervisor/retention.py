"""Remove dated log folders that are too old."""

# ruff: noqa: PTH208
# (pathlib is 0.8 MB of resident memory)

import errno
import os
import re

from supervisor import clock
from supervisor.suppress import suppress

_DATED = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", re.ASCII)


def expired(names: list[str], wall: float, days: int) -> list[str]:
    """Return those of `names` that are dates more than `days` days before today."""
    oldest_kept = clock.days_before(wall, days)
    return sorted(name for name in names if _DATED.fullmatch(name) and name < oldest_kept)


def clean(folder: str, wall: float, days: int) -> tuple[list[str], list[str]]:
    """Remove the expired folders in `folder`.

    Returns the names removed, and a line for each that cannot be.
    """
    removed: list[str] = []
    faults: list[str] = []
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        return removed, [f"cannot clean up {folder}: {err.strerror}"]
    try:
        for name in expired(os.listdir(root), wall, days):
            try:
                if _remove_tree(root, name):
                    removed.append(name)
            except OSError as err:
                faults.append(f"cannot remove the log folder {name}: {err.strerror}")
    finally:
        os.close(root)
    return removed, faults


def _remove_tree(parent: int, name: str) -> bool:
    """Remove the folder `name` with its content. Returns False for a link or a file, which is left alone."""
    try:
        # each step uses a descriptor that was opened without following links, so that nothing outside
        # the folder is removed, even when a name is replaced by a link meanwhile
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError as err:
        if err.errno in (errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    try:
        for entry in os.listdir(folder):
            if not _remove_tree(folder, entry):
                with suppress(FileNotFoundError):
                    os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)
    return True
