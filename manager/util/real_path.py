"""Follow symlinks, also those that a stranger made."""

from __future__ import annotations

import os
from pathlib import Path


def real_path(path: Path) -> Path:
    """Return the path without symlinks. A link in a circle stays as it is, and opening it raises OSError.

    `Path.resolve` raises RuntimeError for one, which no caller expects of a file.
    """
    return Path(os.path.realpath(path))
