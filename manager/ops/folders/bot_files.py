"""Write the files in `secrets/ID` that a bot reads while it runs. The folder is read-only in its container.

docker/README.md has their formats. A file that cannot be written leaves a bot with what it was told before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from manager.util import atomic_file
from manager.util.trusted_folder import unlink_in_trusted

MODE = 0o400


def replace(path: Path, content: Mapping[str, object]) -> None:
    """Put a new file in the place of the old one, for the owner of the folder. Raises nothing."""
    with suppress(OSError):
        atomic_file.replace_bytes(
            path, atomic_file.encode_json(content), MODE, _owner_of_folder(path), durable=False
        )


def remove(path: Path) -> None:
    """Remove the file if it is there. Raises nothing."""
    with suppress(OSError):
        unlink_in_trusted(path)


def _owner_of_folder(path: Path) -> tuple[int, int] | None:
    """Return the owner of the folder for root to give the file to: the bot, which reads it."""
    if os.geteuid() != 0:
        return None
    status = path.parent.lstat()
    return status.st_uid, status.st_gid
