"""Find a folder for temporary files, also where every disk is full, or read-only as after errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
"""The kernel's own, which no disk can fill or make read-only."""
ROOM = 65536
"""Bytes that have to fit: a nearly full disk takes the few that `tempfile` tries it with."""


def folder(preferred: Path | None = None) -> Path:
    """Return the preferred folder, else TMPDIR, /tmp or the like; the one in memory if none takes a file.

    Each call tries anew: a disk can become full or read-only while `top` or `watch` runs.
    """
    if preferred is not None and _takes(preferred):
        return preferred
    try:
        usual = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return IN_MEMORY
    return usual if _takes(usual) or not _takes(IN_MEMORY) else IN_MEMORY


def _takes(path: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=path, buffering=0) as file:
            return file.write(bytes(ROOM)) == ROOM
    except OSError:
        return False
