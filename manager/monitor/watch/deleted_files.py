"""Measure files that are deleted, and still open: they take disk space in no folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet import cgroup_limits, host
from manager.fleet.instance import Instance
from manager.monitor.disk import folders
from manager.util.folder_size import BLOCK, FolderSize

DELETED = " (deleted)"
"""How /proc/PID/fd names a file without a name."""
MAX_OPEN = 10_000
"""Open files of one container that are looked at: a bot can open any number."""
MAX_MAPS = 1 << 20
"""Bytes of a process's map: 50 kB of the bundled bot."""


def of_instances(
    fleet: Fleet, views: Mapping[str, Instance], proc: Path = host.PROC
) -> dict[str, FolderSize]:
    """Return instance → what such files on the disks of its folders take; nothing for those not visible."""
    running = {view.container.id: view for view in views.values() if view.container and view.container.is_up}
    return {
        view.id: size_of(_processes(cgroup.memory), _devices(folders.of_instance(fleet, view)), proc)
        for container, view in running.items()
        if (cgroup := cgroup_limits.finder.find(container)) is not None
    }


def size_of(pids: Iterable[int], devices: frozenset[int], proc: Path = host.PROC) -> FolderSize:
    """Return what deleted files on these devices take that these processes have open."""
    sizes: dict[tuple[int, int], int] = {}
    seen = 0
    for path in _open_files(pids, proc):
        seen += 1
        if seen > MAX_OPEN:
            break
        with suppress(OSError):  # closed meanwhile
            if os.readlink(path).endswith(DELETED):  # noqa: PTH115 - thousands of them
                status = os.stat(path)  # noqa: PTH116
                if stat.S_ISREG(status.st_mode) and status.st_dev in devices and not status.st_nlink:
                    sizes[status.st_dev, status.st_ino] = status.st_blocks * BLOCK
    return FolderSize(sum(sizes.values()), len(sizes), seen <= MAX_OPEN)


def _open_files(pids: Iterable[int], proc: Path) -> Iterator[str]:
    """Yield the processes' files, also those that are closed and mapped into memory: only root sees these."""
    for pid in pids:
        for kind in ("fd", "map_files") if _may_map_deleted(f"{proc}/{pid}/maps") else ("fd",):
            with suppress(OSError), os.scandir(f"{proc}/{pid}/{kind}") as entries:  # ended, or another's
                yield from (entry.path for entry in entries)


def _may_map_deleted(maps: str) -> bool:
    """Return whether such a file may be mapped: one reading tells it of a hundred mapped libraries."""
    try:
        with open(maps, "rb") as stream:  # noqa: PTH123 - hundreds of them
            content = stream.read(MAX_MAPS + 1)
    except OSError:
        return False
    return len(content) > MAX_MAPS or DELETED.encode() in content


def _processes(cgroup: str | None) -> list[int]:
    """Return the pids of a container's processes."""
    with suppress(OSError, ValueError):
        return [int(line) for line in Path(f"{cgroup}/cgroup.procs").read_text(encoding="ascii").split()]
    return []


def _devices(of: Iterable[Path]) -> frozenset[int]:
    devices = set()
    for folder in of:
        with suppress(OSError):
            devices.add(folder.stat().st_dev)
    return frozenset(devices)
