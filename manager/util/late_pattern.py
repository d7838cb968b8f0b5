"""Compile a regular expression when it is first used: a short command uses one in three of its modules'."""

from __future__ import annotations

import re

from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from re import compile as late_pattern
else:

    class late_pattern:  # noqa: N801 - in the place of `re.compile`
        """Be what `re.compile` returns."""

        def __init__(self, pattern, flags=0):
            self._source = (pattern, flags)

        def __getattr__(self, name):
            """Return an attribute of the compiled pattern, which is kept: it is asked for once."""
            value = getattr(re.compile(*self._source), name)
            setattr(self, name, value)
            return value


__all__ = ("late_pattern",)
