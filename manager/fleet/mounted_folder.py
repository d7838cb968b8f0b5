"""Look at what a running container has mounted, where its definition has only a path.

A mount follows a folder that is moved: the path may then be another folder's.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from manager.config.spec import DATA_AT
from manager.i18n import Text

PROC = Path("/proc")
MAX_BYTES = 1 << 20
ESCAPED = re.compile(r"\\([0-7]{3})")
"""How mountinfo writes blanks in a path."""


def elsewhere(container_id: str, database: Path, proc: Path = PROC) -> str | None:
    """Return the folder that the container has in the place of `database`, if it can be seen to be another.

    None also where its processes cannot be looked at, or their folder was removed: then nothing is known.
    """
    for pid in _pids(container_id, proc):
        with suppress(OSError):
            mounted = os.stat(f"{proc}/{pid}/root{DATA_AT}")  # noqa: PTH116
            identity = mounted.st_dev, mounted.st_ino
            is_known = bool(mounted.st_nlink) and _identity(database) != identity
            return _path(pid, identity, proc) if is_known else None
    return None


def _identity(path: Path | str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _pids(container_id: str, proc: Path) -> Iterator[int]:
    """Yield the processes of a container: their cgroup has its id, whichever driver the engine uses."""
    wanted = container_id.encode()
    with os.scandir(proc) as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdigit())
    for pid in pids:
        with suppress(OSError):
            if wanted in (proc / str(pid) / "cgroup").read_bytes():
                yield pid


class Mount(NamedTuple):
    """A line of the kernel's table of mounts: a folder of a file system, and where it is seen."""

    device: str
    folder: str
    at: str


def _path(pid: int, identity: tuple[int, int], proc: Path) -> str:
    """Return where that folder is now, as far as the kernel's tables tell of this machine's paths."""
    with suppress(OSError):
        here = list(_mounts(proc / "self"))
        for data in _mounts(proc / str(pid)):
            if data.at != DATA_AT:
                continue
            for path in (*_seen_at(data, here), data.folder):
                if _identity(path) == identity:
                    return path
    return str(Text("a folder that was moved away from here"))


def _seen_at(data: Mount, here: Iterable[Mount]) -> Iterator[str]:
    """Yield the paths at which this process has that folder: its path is one within its file system, which
    may be mounted anywhere, whole or in part.
    """
    for mount in here:
        if mount.device == data.device and f"{data.folder}/".startswith(f"{mount.folder.rstrip('/')}/"):
            below = data.folder[len(mount.folder.rstrip("/")) :]
            yield mount.at.rstrip("/") + below or "/"


def _mounts(process: Path) -> Iterator[Mount]:
    """Yield the mounts of a process; none where its table cannot be read."""
    with suppress(OSError):
        table = (process / "mountinfo").read_text(errors="surrogateescape")[:MAX_BYTES]
        for words in map(str.split, table.splitlines()):
            if len(words) > 4:
                yield Mount(
                    words[2], *(ESCAPED.sub(lambda sign: chr(int(sign[1], 8)), word) for word in words[3:5])
                )
