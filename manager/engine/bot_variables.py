"""Find the variables that a bot of the user's own reads, when its image is built.

They are recorded in the image (label `labels.VARIABLES`): configs may reference them.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from manager.config.dotenv import NAME
from manager.config.steering import steered_by
from manager.engine.recorded_variables import MOST_NAMES

EXAMPLES = (".env.example", ".env.sample", ".env.template")
"""Files that name a bot's variables without values of worth. They are not copied into the image."""
SKIPPED = frozenset({"tests", "test", "node_modules", "venv", "site-packages"})
MOST_BYTES = 1 << 20
ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=", re.MULTILINE)
READERS = frozenset({"get", "pop", "setdefault", "__getitem__"})


def find(folder: Path) -> tuple[str, ...]:
    """Return the names that the folder's programs read from their environment, sorted.

    What steers a process is not among them: a config must not choose what a proxy's address is used for.
    """
    names: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts[:-1]
        if not any(part in SKIPPED or part.startswith(".") for part in parts):
            names.update(names_in(_text(path)))
    for name in EXAMPLES:
        names.update(ASSIGNED.findall(_text(folder / name)))
    return tuple(sorted(name for name in names if NAME.fullmatch(name) and not steered_by(name)))[:MOST_NAMES]


def names_in(source: str) -> Iterator[str]:
    """Yield the names that a Python program reads literally; none of a text that is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a stranger's escapes
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_environ(node.value):
            yield from _literal(node.slice)
        elif isinstance(node, ast.Compare) and any(_is_environ(operand) for operand in node.comparators):
            yield from _literal(node.left)
        elif isinstance(node, ast.Call) and node.args and _reads(node.func):
            yield from _literal(node.args[0])


def _reads(function: ast.expr) -> bool:
    """Return whether it is `os.getenv`, `os.environ.get` or alike."""
    if isinstance(function, ast.Name):
        return function.id == "getenv"
    if not isinstance(function, ast.Attribute):
        return False
    return function.attr == "getenv" or (function.attr in READERS and _is_environ(function.value))


def _is_environ(value: ast.expr) -> bool:
    return (isinstance(value, ast.Name) and value.id == "environ") or (
        isinstance(value, ast.Attribute) and value.attr == "environ"
    )


def _literal(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value


def _text(path: Path) -> str:
    """Return a regular file's text; none of one that is too large, or cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
