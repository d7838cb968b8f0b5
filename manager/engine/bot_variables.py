"""Find the variables that a bot of the user's own reads, when its image is built.

They are recorded in the image (label `labels.VARIABLES`): configs may reference them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from manager.config.dotenv import NAME
from manager.config.steering import steered_by
from manager.engine import labels
from manager.typed import Any

EXAMPLES = (".env.example", ".env.sample", ".env.template")
"""Files that name a bot's variables without values of worth. They are not copied into the image."""
SKIPPED = frozenset({"tests", "test", "node_modules", "venv", "site-packages"})
MOST_BYTES = 1 << 20
MOST_NAMES = 200
ASSIGNED = r"(?m)^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*="


def find(folder: Path) -> tuple[str, ...]:
    """Return the names that the folder's programs read from their environment, sorted.

    What steers a process is not among them: a config must not choose what a proxy's address is used for.
    """
    from manager.engine.environment_reads import names_in  # with `ast`

    names: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts[:-1]
        if not any(part in SKIPPED or part.startswith(".") for part in parts):
            names.update(names_in(_text(path)))
    for name in EXAMPLES:
        names.update(re.findall(ASSIGNED, _text(folder / name)))
    return tuple(sorted(name for name in names if NAME.fullmatch(name) and not steered_by(name)))[:MOST_NAMES]


def in_labels(image: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that are recorded in an image, as the engine describes it."""
    text = str(((image.get("Config") or {}).get("Labels") or {}).get(labels.VARIABLES, ""))
    names = sorted({name for name in text.split(",") if NAME.fullmatch(name) and not steered_by(name)})
    return tuple(names[:MOST_NAMES])


def _text(path: Path) -> str:
    """Return a regular file's text; none of one that is too large, or cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
