"""Who owns what a manager makes that runs as root: whoever owns the folder it is made in.

One `sudo manager up` in a user's project would otherwise lock that user out of the state, the lock and the export.
"""

from __future__ import annotations

import os
from pathlib import Path


def heir(path: Path) -> tuple[int, int] | None:
    """(uid, gid) that something new at `path` is to belong to; None where it is the caller's already. Raises OSError."""
    if os.geteuid() != 0:
        return None
    folder = path.parent.stat()
    return (folder.st_uid, folder.st_gid) if (folder.st_uid, folder.st_gid) != (0, 0) else None


def inherit(path: Path) -> None:
    """Gives what was just made at `path` to the folder's owner. A link itself, not what it leads to. Raises OSError."""
    if owner := heir(path):
        os.chown(path, *owner, follow_symlinks=False)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Makes the folder and those above it, where they are missing. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        inherit(path)
