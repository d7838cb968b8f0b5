"""Stamp the program itself, for caches whose content depends on its code: an update then makes them
invalid.
"""

from __future__ import annotations

import os
import zlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
BELOW_ALL = ("", "util")
"""Rooms that every other room imports: the package's own folder, with `errors` and `i18n`, and this one."""


def stamp(*rooms: str) -> int:
    """Return a number that changes with every source file of these rooms and of those below all.

    A look at each file, 5 µs, instead of a list of those that matter, which would not stay complete.
    """
    number = 0
    for room in sorted({*BELOW_ALL, *rooms}):
        for name, file in _sources(PACKAGE / room):
            number = zlib.crc32(f"{room}/{name} {file.st_size} {file.st_mtime_ns}".encode(), number)
    return number


@cache
def of_loaded(*rooms: str) -> int:
    """Return the stamp of the code that this process runs: as the files were when it first asked.

    `watch` and `top` run on after an update, and what they compute is not what the new code would.
    """
    return stamp(*rooms)


def _sources(folder: Path) -> list[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py"))
    except OSError:  # a package that lies in an archive does not change under its program
        return []
