"""Find a folder for temporary files, also where every disk is mounted read-only, as after errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
"""The kernel's own, which no disk can make read-only."""


def folder() -> Path:
    """Return TMPDIR, /tmp or the like; the one in memory if nothing can be written there."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return IN_MEMORY
