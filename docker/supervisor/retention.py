"""Remove dated log folders that are too old."""

# ruff: noqa: PTH208
# (pathlib is 0.8 MB of resident memory)

import errno
import os

from supervisor import clock
from supervisor.suppress import suppress

MAX_DEPTH = 100  # folders in each other; each takes a descriptor and a call until all below it are removed


def expired(names: list[str], wall: float, days: int) -> list[str]:
    """Return those of `names` that are dates more than `days` days before today."""
    oldest_kept = clock.days_before(wall, days)
    return sorted(name for name in names if _is_date(name) and name < oldest_kept)


def _is_date(name: str) -> bool:
    """Return whether it is `2026-01-31` or alike; `re` is 0.5 MB of memory."""
    year, month, day = name[:4], name[5:7], name[8:]
    is_like_one = len(name) == 10 and name.isascii() and name[4] == name[7] == "-"
    return is_like_one and (year + month + day).isdigit() and 1 <= int(month) <= 12 and 1 <= int(day) <= 31


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
    except OSError as err:
        faults.append(f"cannot clean up {folder}: {err.strerror}")
    finally:
        os.close(root)
    return removed, faults


def _remove_tree(parent: int, name: str, depth: int = 0) -> bool:
    """Remove the folder `name` with its content. Returns False for a link or a file, which is left alone.

    Raises OSError for what is nested too deeply, as only a program's mistake is: it must not end us.
    """
    try:
        # each step uses a descriptor that was opened without following links, so that nothing outside
        # the folder is removed, even when a name is replaced by a link meanwhile
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError as err:
        if err.errno in (errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    try:
        if depth == MAX_DEPTH:
            raise OSError(errno.ELOOP, f"more than {MAX_DEPTH} folders lie in each other")
        for entry in os.listdir(folder):
            if not _remove_tree(folder, entry, depth + 1):
                with suppress(FileNotFoundError):
                    os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)
    return True
