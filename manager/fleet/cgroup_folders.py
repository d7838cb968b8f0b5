"""Find where the kernel has the files of a container's cgroup: for what it uses, and for its limits.

The mount table says where the hierarchies are, and /proc/PID/cgroup which cgroups a process is in. So cgroup
v1, v2, the hybrid of both, and both of the engine's drivers (cgroupfs, systemd) are found in the same way. An
engine puts all its containers beside each other: where one of them is, tells where the others are.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from manager.fleet import host
from manager.typed import NamedTuple
from manager.util import kernel_file, mountinfo
from manager.util.mountinfo import Mount

INIT = 1
"""The pid, inside the container, of the process that every running container has."""

MAX_BYTES = 1 << 16
"""io.stat, with a line per disk, is the largest of these files."""

LOOKS = 3
"""Through all processes, for a container's first one: it may just have ended, or not be visible at all."""

UNIFIED = ""
"""Key of cgroup v2's hierarchy, which has all controllers that are not mounted as v1."""


Mounts = Mapping[str, Mount]
"""Mounts by controller; cgroup v2's is under UNIFIED.

`at` is where a hierarchy's files are, and `root` the cgroup at their top: `/`, unless the manager runs in a
container.
"""


class CgroupFolders(NamedTuple):
    """Hold the folders of a container's figures and limits; None where there is none.

    `pid`: its first process on the host, 0 where it was not looked for.
    """

    pid: int
    cpu: str | None
    memory: str | None
    pids: str | None
    disk: str | None
    is_v2: bool
    quota: str | None


def read_mounts(proc: Path = host.PROC) -> Mounts:
    """Return this machine's cgroup hierarchies; empty where there are none, as on macOS."""
    by_controller: dict[str, Mount] = {}
    for mount in mountinfo.read(proc / "self"):
        if mount.type in {"cgroup", "cgroup2"}:
            for name in [UNIFIED] if mount.type == "cgroup2" else mount.options.split(","):
                by_controller.setdefault(name, mount)
    return by_controller


def find_all_folders(
    containers: Iterable[str], mounted: Mounts, proc: Path = host.PROC
) -> dict[str, CgroupFolders]:
    """Return container id → folders, for the running containers whose first process is visible.

    Without those in no cgroup of their own: the figures of the one that they are in are the whole machine's.
    """
    pids = host.host_pids(((container, INIT) for container in containers), proc=proc) if mounted else {}
    by_container = {container: find_folders(pid, mounted, proc) for (container, _init), pid in pids.items()}
    return {
        container: folders
        for container, folders in by_container.items()
        if folders.cpu and folders.memory and container in folders.memory
    }


def find_folders(pid: int, mounted: Mounts, proc: Path = host.PROC) -> CgroupFolders:
    """Return the folders of this process's cgroups."""
    return _folders(pid, _cgroups(pid, proc), mounted)


class Finder:
    """Find the folders of running containers by their ids alone, at a look for each.

    Where an engine has them is tried in the usual places, and otherwise learned from the first process of one
    container: a look through all processes takes a hundred times as long.
    """

    def __init__(self, proc: Path = host.PROC) -> None:
        self._proc = proc
        self._mounted: Mounts | None = None
        self._usual: Sequence[CgroupFolders] = ()
        self._place: CgroupFolders | None = None
        """Where containers are, with {id} for one's own: putting paths together takes longer than a look."""
        self._looks_left = LOOKS

    def find(self, container: str) -> CgroupFolders | None:
        """Return a container's folders; None where they are not visible."""
        if self._mounted is None:
            self._mounted = read_mounts(self._proc)
            self._usual = [_folders(0, paths, self._mounted) for paths in self._places()]
        for place in self._usual if self._place is None else (self._place,):
            if (folders := _at(place, container)) is not None:
                self._place = place
                return folders
        if self._place is not None or not self._looks_left or not self._mounted:
            return None
        self._looks_left -= 1
        for (_container, _init), pid in host.host_pids([(container, INIT)], proc=self._proc).items():
            paths = _cgroups(pid, self._proc)
            if not any(container in path for path in paths.values()):
                return None
            paths = {name: path.replace(container, "{id}") for name, path in paths.items()}
            self._place = _folders(0, paths, self._mounted)
            return _at(self._place, container)
        return None

    def _places(self) -> Iterator[Mapping[str, str]]:
        user = os.geteuid()
        for path in (
            "/docker/{id}",
            "/system.slice/docker-{id}.scope",
            f"/user.slice/user-{user}.slice/user@{user}.service/user.slice/docker-{{id}}.scope",
        ):
            yield dict.fromkeys(self._mounted or {}, path)


def _at(place: CgroupFolders, container: str) -> CgroupFolders | None:
    """Return a container's folders at this place; None if they are not there."""

    def named(folder: str | None) -> str | None:
        return folder and folder.replace("{id}", container)

    memory = named(place.memory)
    if memory is None or not os.path.isdir(memory):  # noqa: PTH112 - speed
        return None
    cpu, pids, disk, quota = named(place.cpu), named(place.pids), named(place.disk), named(place.quota)
    return CgroupFolders(place.pid, cpu, memory, pids, disk, place.is_v2, quota)


def _cgroups(pid: int, proc: Path) -> dict[str, str]:
    """Return controller → the path of a process's cgroup."""
    paths: dict[str, str] = {}
    for line in read(f"{proc}/{pid}/cgroup").splitlines():
        number, _colon, rest = line.partition(":")
        names, _colon, path = rest.partition(":")
        for name in [UNIFIED] if number == "0" else names.split(","):
            paths[name] = path
    return paths


def _folders(pid: int, paths: Mapping[str, str], mounted: Mounts) -> CgroupFolders:
    def folder(controller: str) -> str | None:
        if controller not in mounted or controller not in paths:
            return None
        mount = mounted[controller]
        relative = os.path.relpath(paths[controller], mount.root)
        return None if relative.startswith("..") else os.path.join(mount.at, relative)  # noqa: PTH118 - speed

    is_v2 = "memory" not in paths or "memory" not in mounted
    if is_v2:
        unified = folder(UNIFIED)
        return CgroupFolders(pid, unified, unified, unified, unified, is_v2, unified)
    return CgroupFolders(
        pid, folder("cpuacct"), folder("memory"), folder("pids"), folder("blkio"), is_v2, folder("cpu")
    )


def memory_in_use(folders: CgroupFolders) -> int | None:
    """Return the memory of a container without reclaimable file pages, as `docker stats` shows it."""
    used = number(folders.memory, "memory.current" if folders.is_v2 else "memory.usage_in_bytes")
    return None if used is None else without_cache(used, _inactive(folders))


def without_cache(used: int, idle_files: int) -> int:
    """Return the memory without reclaimable file pages.

    Otherwise a bot that writes logs would seem to grow forever.
    """
    return used - idle_files if idle_files < used else used


def _inactive(folders: CgroupFolders) -> int:
    """Return the bytes of the page cache that the kernel can take back at once."""
    return (
        entry(folders.memory, "memory.stat", "inactive_file" if folders.is_v2 else "total_inactive_file") or 0
    )


def number(folder: str | None, name: str) -> int | None:
    """Return the number in a file; None where there is none."""
    text = "" if folder is None else read(f"{folder}/{name}").strip()
    return int(text) if text.isdigit() else None


def entry(folder: str | None, name: str, key: str) -> int | None:
    """Return one value of a file of `key value` lines: memory.stat has dozens, and one is needed."""
    _before, separator, rest = f"\n{read(f'{folder}/{name}')}".partition(f"\n{key} ")
    value = rest.partition("\n")[0] if separator else ""
    return int(value) if value.isdigit() else None


def read(path: str) -> str:
    """Return the content of such a file; empty if it is gone or not readable."""
    return kernel_file.read(path, MAX_BYTES)
