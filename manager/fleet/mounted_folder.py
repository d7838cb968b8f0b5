"""Look at what a running container has mounted, where its definition has only a path.

A mount follows a folder that is moved: the path may then be another folder's.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from manager.config.container_paths import DATA_AT
from manager.i18n import Text
from manager.util import mountinfo
from manager.util.mountinfo import Mount

PROC = Path("/proc")


def other_folder(container_id: str, database: Path, proc: Path = PROC) -> str | None:
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
    """Return where that folder is now, as far as the kernel's tables tell of this machine's paths."""
    here = mountinfo.read(proc / "self")
    for data in mountinfo.read(proc / str(pid)):
        if data.at != DATA_AT:
            continue
        for path in (*_seen_at(data, here), data.root):
            if _identity(path) == identity:
                return path
    return str(Text("a folder that was moved away from here"))


def _seen_at(data: Mount, here: Iterable[Mount]) -> Iterator[str]:
    """Yield the paths at which this process has that folder: its path is one within its file system, which
    may be mounted anywhere, whole or in part.
    """
    for mount in here:
        if mount.device == data.device and f"{data.root}/".startswith(f"{mount.root.rstrip('/')}/"):
            below = data.root[len(mount.root.rstrip("/")) :]
            yield mount.at.rstrip("/") + below or "/"
