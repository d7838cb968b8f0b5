"""Measure what folders take on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

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
    missing takes nothing; one that cannot be read makes the result incomplete.
    """
    size = files = 0
    is_whole = True
    waiting = [(os.fspath(folder), 0) for folder in folders]
    while waiting:
        path, depth = waiting.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if files >= most or (files % 256 == 0 and time.monotonic() > deadline):
                        return FolderSize(size, files, False)
                    files += 1
                    with suppress(FileNotFoundError):
                        size += entry.stat(follow_symlinks=False).st_blocks * BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH:
                            waiting.append((entry.path, depth + 1))
                        else:
                            is_whole = False
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            is_whole = False
    return FolderSize(size, files, is_whole)
