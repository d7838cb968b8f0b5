"""Read whose compose.yaml this is, without a parser: `up` looks at it each time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from manager.util.late_pattern import late_pattern

HEAD = "# Rendered by `manager compose`"
"""A compose.yaml without it was written by a person and may contain anything."""
NAME = late_pattern(r"""^name:[ \t]*(['"]?)([\w.-]*)\1[ \t]*(?:#.*)?$""", re.MULTILINE | re.ASCII)
"""A formatter may have changed the quotes."""
PROJECT_VARIABLE = "COMPOSE_PROJECT_NAME"
HEAD_CHARS = 4096


def is_rendered(text: str) -> bool:
    """Return whether the manager rendered this file."""
    return HEAD in text[:HEAD_CHARS]


def name_of(text: str) -> str:
    """Return the project's name in a rendered file; empty for any other text."""
    match = NAME.search(text[:HEAD_CHARS]) if is_rendered(text) else None
    return match[2] if match else ""


def name_in(path: Path) -> str:
    """Return the project's name in this rendered file; empty if it is none."""
    try:
        with path.open(encoding="utf-8") as stream:
            return name_of(stream.read(HEAD_CHARS))
    except (OSError, UnicodeDecodeError):
        return ""


def name_by_variable(path: Path, variables: Mapping[str, str]) -> str:
    """Return the name that a variable gives to the project of this rendered file; empty without one."""
    name = variables.get(PROJECT_VARIABLE, "")
    return name if name and name_in(path) else ""
