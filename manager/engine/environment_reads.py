"""Find the variables that a Python program reads from its environment. Pure."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

READERS = frozenset({"get", "pop", "setdefault", "__getitem__"})


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
