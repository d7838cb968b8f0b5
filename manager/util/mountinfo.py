"""Read the kernel's table of what is mounted where: /proc/PID/mountinfo."""

import re
from collections.abc import Iterator
from pathlib import Path

from manager.typed import NamedTuple

SELF = Path("/proc/self")
MAX_BYTES = 16 << 20
"""A line of a container's file system names all layers of its image: a thousand containers are megabytes."""


class Mount(NamedTuple):
    """Hold a line of it: the folder `root` of a file system, and the path `at` where it is seen.

    `device`: its number as MAJOR:MINOR. `options`: those of the file system; of a hierarchy of cgroup v1 its
    controllers are among them.
    """

    device: str
    root: str
    at: str
    type: str
    options: str


def read(process: Path = SELF) -> list[Mount]:
    """Return what a process sees mounted, in the order in which it was; empty where that cannot be read."""
    try:
        with (process / "mountinfo").open("rb") as stream:
            content = stream.read(MAX_BYTES)
    except OSError:
        return []
    return list(parsed(content.decode(errors="surrogateescape")))


def parsed(table: str) -> Iterator[Mount]:
    """Yield the mounts of such a table.

    A field ends at a blank and a line at a line break, and nowhere else: the kernel escapes just these in a
    path, and leaves wider blanks such as U+3000 as they are.
    """
    for line in table.split("\n"):
        before, _dash, after = line.partition(" - ")
        fields, file_system = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(file_system) > 2:
            yield Mount(
                fields[2], _unescaped(fields[3]), _unescaped(fields[4]), file_system[0], file_system[2]
            )


def _unescaped(path: str) -> str:
    """Undo the kernel's escapes of a blank, tab, line break, or backslash."""
    if "\\" not in path:
        return path
    return re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), path)
