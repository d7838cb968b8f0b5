"""Give the files and folders that root creates to the owner of the folder they are in.

Otherwise a single `sudo manager up` in a user's project would lock that user out of the state, the lock and
the export.
"""

from __future__ import annotations

import os
from pathlib import Path

from manager.util.trusted_folder import trusted

NOT_FOR_OTHERS = 0o022
"""What a loose umask leaves to others is taken from them: whoever may write to a folder of a fleet may put
something else in the place of its files.
"""
OF_OTHERS = 0o077
"""What a umask may take away. Without the rights of its owner, a folder that was just made is of no use."""


def inherited_owner(path: Path) -> tuple[int, int] | None:
    """Return the (uid, gid) for a new file at `path`; None if the caller owns it anyway. Raises OSError."""
    if os.geteuid() != 0:
        return None
    parent = path.parent.stat()
    return (parent.st_uid, parent.st_gid) if (parent.st_uid, parent.st_gid) != (0, 0) else None


def give_to_folder_owner(path: Path) -> None:
    """Give what was just created at `path` to the folder's owner.

    Does not follow symlinks. Raises OSError.
    """
    if owner := inherited_owner(path):
        os.chown(path, *owner, follow_symlinks=False)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Create the folder and its missing parents, each owned by its parent's owner. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with trusted(path.parent) as folder:
        made = folder / path.name
        try:
            made.mkdir(mode)
        except FileExistsError:
            if not path.is_dir():
                raise
        else:
            give_to_folder_owner(made)


def set_umask() -> None:
    """Have what this process makes be for its owner, and others not write to it."""
    os.umask(os.umask(NOT_FOR_OTHERS) & OF_OTHERS | NOT_FOR_OTHERS)
