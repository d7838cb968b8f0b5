"""Read whose compose.yaml this is, without a parser: `up` looks at it each time."""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"^name: '([^'\n]*)'$", re.MULTILINE)
HEAD_CHARS = 4096


def name_of(text: str) -> str:
    """Return the project's name in a rendered file; empty for any other text."""
    match = NAME.search(text[:HEAD_CHARS])
    return match[1] if match else ""


def name_in(path: Path) -> str:
    """Return the project's name in this rendered file; empty if it is none."""
    try:
        with path.open(encoding="utf-8") as stream:
            return name_of(stream.read(HEAD_CHARS))
    except (OSError, UnicodeDecodeError):
        return ""
