"""Compile a regular expression when it is first used: a short command uses one in three of its modules'."""

from __future__ import annotations

import re

from manager.typed import TYPE_CHECKING

_sources: list[tuple[str | bytes, int]] = []
"""Of all in the modules that are loaded."""

if TYPE_CHECKING:
    from re import compile as late_pattern
else:

    class late_pattern:  # noqa: N801 - in the place of `re.compile`
        """Be what `re.compile` returns."""

        def __init__(self, pattern, flags=0):
            self._source = (pattern, flags)
            _sources.append(self._source)

        def __getattr__(self, name):
            """Return an attribute of the compiled pattern, which is kept: it is asked for once."""
            value = getattr(re.compile(*self._source), name)
            setattr(self, name, value)
            return value


def compile_all() -> None:
    """Compile all of them, where it is done once for many commands: `re` keeps what it has compiled."""
    for pattern, flags in _sources:
        re.compile(pattern, flags)


__all__ = ("compile_all", "late_pattern")
