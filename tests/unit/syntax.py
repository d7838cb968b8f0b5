"""The syntax of our own modules, read once by all tests that look at them all."""

from __future__ import annotations

import ast
from functools import cache


@cache
def parsed(source: str) -> ast.Module:
    """Return a module's tree. Nobody may change it."""
    return ast.parse(source)


def last_name(function: ast.expr) -> str:
    """Return the last name of what is called: of `a.b.c()` it is c. Of what has none, its whole text."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ast.unparse(function)
