"""Measure what folders take on disk."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from manager.typed import NamedTuple

BLOCK = 512
"""The unit of st_blocks, whatever the file system's own block is."""
MAX_DEPTH = 64


class FolderSize(NamedTuple):
    """Hold bytes on disk and the number of files and folders. `is_whole`: everything was counted."""

    size: int = 0
    files: int = 0
    is_whole: bool = True


def measure(folders: Iterable[Path], deadline: float, most: int) -> FolderSize:
    """Return what these folders take together, without following symlinks.

    Ends at the `deadline` (monotonic) and after `most` entries: a bot can make any number. A folder that is
    missing takes nothing; one that cannot be read makes the result incomplete. A file that has several names
    takes its place once, and what is mounted in a folder takes none of its disk.
    """
    size = files = seen = 0
    is_whole = True
    linked: set[tuple[int, int]] = set()
    waiting = [(os.fspath(folder), 0, 0) for folder in folders]
    while waiting:
        path, depth, device = waiting.pop()
        try:
            device = device or os.stat(path).st_dev  # noqa: PTH116 - a Path costs more than the look
            with os.scandir(path) as entries:
                for entry in entries:
                    if seen >= most or (seen % 256 == 0 and time.monotonic() > deadline):
                        return FolderSize(size, files, False)
                    seen += 1
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    is_folder = stat.S_ISDIR(status.st_mode)
                    if status.st_dev != device:
                        continue
                    if not is_folder and status.st_nlink > 1:
                        if (file_id := (status.st_dev, status.st_ino)) in linked:
                            continue
                        linked.add(file_id)
                    files += 1
                    size += status.st_blocks * BLOCK
                    if is_folder:
                        if depth < MAX_DEPTH:
                            waiting.append((entry.path, depth + 1, device))
                        else:
                            is_whole = False
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            is_whole = False
    return FolderSize(size, files, is_whole)
