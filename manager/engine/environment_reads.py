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
    called = _Names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and called.is_environ(node.value):
            yield from _literal(node.slice)
        elif isinstance(node, ast.Compare) and any(map(called.is_environ, node.comparators)):
            yield from _literal(node.left)
        elif isinstance(node, ast.Call) and node.args and called.is_reader(node.func):
            yield from _literal(node.args[0])


class _Names:
    """Know what a program calls `os.environ` and `os.getenv`, also in `env = os.environ`."""

    def __init__(self, tree: ast.AST) -> None:
        self._names = {"environ": {"environ"}, "getenv": {"getenv"}}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                for alias in node.names:
                    self._names.get(alias.name, set()).add(alias.asname or alias.name)
            elif isinstance(node, ast.Assign):
                for of_what, is_it in (("environ", self.is_environ), ("getenv", self._is_getenv)):
                    if is_it(node.value):
                        self._names[of_what].update(
                            target.id for target in node.targets if isinstance(target, ast.Name)
                        )

    def is_environ(self, value: ast.expr) -> bool:
        return self._is("environ", value)

    def is_reader(self, function: ast.expr) -> bool:
        """Return whether it is `os.getenv`, `os.environ.get` or alike."""
        if self._is_getenv(function):
            return True
        if not isinstance(function, ast.Attribute):
            return False
        return function.attr in READERS and self.is_environ(function.value)

    def _is_getenv(self, value: ast.expr) -> bool:
        return self._is("getenv", value)

    def _is(self, what: str, value: ast.expr) -> bool:
        return (isinstance(value, ast.Name) and value.id in self._names[what]) or (
            isinstance(value, ast.Attribute) and value.attr == what
        )


def _literal(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
