"""Look at what a running container has mounted, where its definition has only a path.

A mount follows a folder that is moved: the path may then be another folder's.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

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


def _path(pid: int, identity: tuple[int, int], proc: Path) -> str:
    """Return where that folder is now, as far as the kernel's table tells of this machine's paths."""
    with suppress(OSError):
        for line in (proc / str(pid) / "mountinfo").read_text(errors="replace")[:MAX_BYTES].splitlines():
            words = line.split()
            if len(words) > 4 and words[4] == DATA_AT:
                path = ESCAPED.sub(lambda match: chr(int(match[1], 8)), words[3])
                if _identity(path) == identity:
                    return path
    return str(Text("a folder that was moved away from here"))
