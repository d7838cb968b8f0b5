"""Compare names with the patterns of settings, such as `GRIDBOT_*`."""

from __future__ import annotations

SPECIAL = frozenset("*?[")


def matches(name: str, pattern: str) -> bool:
    """Return what `fnmatch.fnmatchcase` returns; a single `*` does without compiling an expression."""
    head, star, tail = pattern.partition("*")
    if not SPECIAL.isdisjoint(head) or not SPECIAL.isdisjoint(tail):
        from fnmatch import fnmatchcase

        return fnmatchcase(name, pattern)
    if not star:
        return name == pattern
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)
