"""Read what a container uses from its cgroup's files: hundreds of containers in milliseconds.

/proc/PID/cgroup names a process's cgroups, and the mount table where their files are. So cgroup v1, v2, the
hybrid of both, and both of the engine's drivers (cgroupfs, systemd) are found in the same way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from manager.fleet import host
from manager.monitor.stats.usage import Sample, without_cache
from manager.util import kernel_file

INIT = 1
"""The pid, inside the container, of the process that every running container has."""

MAX_BYTES = 1 << 16
"""io.stat, with a line per disk, is the largest of these files."""

UNLIMITED = 1 << 60
"""cgroup v1 writes "no limit" as 2^63, rounded down to a page."""

UNIFIED = ""
"""Key of cgroup v2's hierarchy, which has all controllers that are not mounted as v1."""


class Mount(NamedTuple):
    """Hold where a hierarchy's files are, and the cgroup at their top.

    The latter is `/`, unless the manager runs in a container.
    """

    at: str
    root: str


Mounts = Mapping[str, Mount]
"""Mounts by controller; cgroup v2's is under UNIFIED."""


class CgroupFolders(NamedTuple):
    """Hold the folders of a container's figures; None where there is none.

    `pid`: its first process on the host.
    """

    pid: int
    cpu: str | None
    memory: str | None
    pids: str | None
    disk: str | None
    is_v2: bool

    @property
    def is_complete(self) -> bool:
        """Return whether CPU and memory can be read; otherwise the engine has to be asked."""
        return self.cpu is not None and self.memory is not None


def read_mounts(proc: Path = host.PROC) -> Mounts:
    """Return this machine's cgroup hierarchies; empty where there are none, as on macOS."""
    by_controller: dict[str, Mount] = {}
    try:
        lines = (proc / "self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return by_controller
    for line in lines:
        before, _dash, after = line.partition(" - ")
        fields, description = before.split(), after.split()
        if len(fields) < 5 or len(description) < 3 or description[0] not in {"cgroup", "cgroup2"}:
            continue
        names = [UNIFIED] if description[0] == "cgroup2" else description[2].split(",")
        for name in names:
            by_controller.setdefault(name, Mount(_unescaped(fields[4]), _unescaped(fields[3])))
    return by_controller


def find_all_folders(
    containers: Iterable[str], mounted: Mounts, proc: Path = host.PROC
) -> dict[str, CgroupFolders]:
    """Return container id → folders, for the running containers whose first process is visible."""
    pids = host.host_pids(((container, INIT) for container in containers), proc=proc) if mounted else {}
    by_container = {container: find_folders(pid, mounted, proc) for (container, _init), pid in pids.items()}
    return {container: folders for container, folders in by_container.items() if folders.is_complete}


def find_folders(pid: int, mounted: Mounts, proc: Path = host.PROC) -> CgroupFolders:
    """Return the folders of this process's cgroups."""
    paths: dict[str, str] = {}
    for line in _read(f"{proc}/{pid}/cgroup").splitlines():
        number, _colon, rest = line.partition(":")
        names, _colon, path = rest.partition(":")
        for name in [UNIFIED] if number == "0" else names.split(","):
            paths[name] = path

    def folder(controller: str) -> str | None:
        if controller not in mounted or controller not in paths:
            return None
        at, root = mounted[controller]
        relative = os.path.relpath(paths[controller], root)
        return None if relative.startswith("..") else os.path.join(at, relative)  # noqa: PTH118 - speed

    is_v2 = "memory" not in paths or "memory" not in mounted
    if is_v2:
        unified = folder(UNIFIED)
        return CgroupFolders(pid, unified, unified, unified, unified, is_v2)
    return CgroupFolders(pid, folder("cpuacct"), folder("memory"), folder("pids"), folder("blkio"), is_v2)


def take_sample(folders: CgroupFolders, proc: Path = host.PROC) -> Sample | None:
    """Return what the container has used so far; None if it no longer runs."""
    at = time.monotonic()
    cpu_s = _cpu_seconds(folders)
    used = _number(folders.memory, "memory.current" if folders.is_v2 else "memory.usage_in_bytes")
    if cpu_s is None or used is None:
        return None
    limit = _number(folders.memory, "memory.max" if folders.is_v2 else "memory.limit_in_bytes")
    read, written = _disk(folders)
    received, sent = _network(folders.pid, proc)
    return Sample(
        at=at,
        cpu_s=cpu_s,
        memory=without_cache(used, _inactive(folders)),
        memory_limit=None if limit is None or limit >= UNLIMITED else limit,
        pids=_number(folders.pids, "pids.current"),
        received=received,
        sent=sent,
        read=read,
        written=written,
    )


def _cpu_seconds(folders: CgroupFolders) -> float | None:
    if folders.is_v2:
        used = _entry(folders.cpu, "cpu.stat", "usage_usec")
        return None if used is None else used / 1e6
    used = _number(folders.cpu, "cpuacct.usage")
    return None if used is None else used / 1e9


def _disk(folders: CgroupFolders) -> tuple[int | None, int | None]:
    """Return (bytes read, bytes written) of all disks."""
    if folders.disk is None:
        return None, None
    text = _read(
        f"{folders.disk}/{'io.stat' if folders.is_v2 else 'blkio.throttle.io_service_bytes_recursive'}"
    )
    if folders.is_v2:
        pairs = [field.partition("=") for field in text.split()]
        amounts = [(name, value) for name, _equals, value in pairs]
        return _sum(amounts, "rbytes"), _sum(amounts, "wbytes")
    rows = [line.split() for line in text.splitlines()]
    amounts = [(row[1], row[2]) for row in rows if len(row) == 3]
    return _sum(amounts, "Read"), _sum(amounts, "Write")


def _network(pid: int, proc: Path) -> tuple[int | None, int | None]:
    """Return (bytes received, bytes sent) of the process's network namespace, without the loopback."""
    lines = _read(f"{proc}/{pid}/net/dev").splitlines()[2:]
    if not lines:
        return None, None
    received = sent = 0
    for line in lines:
        name, _colon, rest = line.partition(":")
        figures = rest.split(None, 9)
        if len(figures) > 8 and name.strip() != "lo" and figures[0].isdigit() and figures[8].isdigit():
            received += int(figures[0])
            sent += int(figures[8])
    return received, sent


def _sum(amounts: Iterable[tuple[str, str]], name: str) -> int:
    return sum(int(value) for key, value in amounts if key == name and value.isdigit())


def _number(folder: str | None, name: str) -> int | None:
    text = "" if folder is None else _read(f"{folder}/{name}").strip()
    return int(text) if text.isdigit() else None


def _inactive(folders: CgroupFolders) -> int:
    """Return the bytes of the page cache that the kernel can take back at once."""
    return (
        _entry(folders.memory, "memory.stat", "inactive_file" if folders.is_v2 else "total_inactive_file")
        or 0
    )


def _entry(folder: str | None, name: str, key: str) -> int | None:
    """Return one value of a file of `key value` lines: memory.stat has dozens, and one is needed."""
    _before, found, rest = f"\n{_read(f'{folder}/{name}')}".partition(f"\n{key} ")
    value = rest.partition("\n")[0] if found else ""
    return int(value) if value.isdigit() else None


def _read(path: str) -> str:
    return kernel_file.read(path, MAX_BYTES)


def _unescaped(path: str) -> str:
    """Undo the mount table's escapes, such as `\\040` for a space."""
    return path.encode().decode("unicode_escape") if "\\" in path else path
