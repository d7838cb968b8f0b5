"""Compare a running container's limits with its spec, in the cgroup's own files: see a `docker update`.

The engine's list does not have the limits, and an inspect is a call for each instance; these are four small
reads. A limit for which the kernel has no file is one that it cannot keep, and no drift.
"""

from __future__ import annotations

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.fleet import cgroup_folders
from manager.fleet.cgroup_folders import CgroupFolders

UNLIMITED = 1 << 60
"""Version 1 writes “no limit” as 2^63, rounded down to a page."""
PAGE = 1 << 16
"""The largest page that a kernel rounds a limit to."""
CPU_TOLERANCE = 0.011
"""In cores: systemd rounds a quota up to the next hundredth."""

finder = cgroup_folders.Finder()


def are_others(container_id: str, spec: InstanceSpec, fleet: Fleet) -> bool:
    """Return whether a running container has another limit than its spec; False where it cannot be seen."""
    folders = finder.find(container_id)
    if folders is None:
        return False
    memory = _read(folders.memory, "memory.max" if folders.is_v2 else "memory.limit_in_bytes")
    if memory and _is_another_memory(memory, spec.memory):
        return True
    swap = _read(folders.memory, "memory.swap.max" if folders.is_v2 else "memory.memsw.limit_in_bytes")
    if swap and _is_another_memory(swap, 0 if folders.is_v2 else spec.memory):
        return True
    cores = _cores(folders)
    if cores is not None and abs(cores - spec.nano_cpus / 1e9) > CPU_TOLERANCE:
        return True
    pids = _read(folders.pids, "pids.max")
    return bool(pids) and pids != str(fleet.pids_limit)


def enforced(container_id: str) -> frozenset[str]:
    """Return for which limits the kernel has a file of a running container, as their names in the engine's
    API: these it can keep.
    """
    folders = finder.find(container_id)
    if folders is None:
        return frozenset()
    files = {
        "Memory": (folders.memory, "memory.max" if folders.is_v2 else "memory.limit_in_bytes"),
        "MemorySwap": (folders.memory, "memory.swap.max" if folders.is_v2 else "memory.memsw.limit_in_bytes"),
        "PidsLimit": (folders.pids, "pids.max"),
    }
    return frozenset(name for name, (folder, file) in files.items() if _read(folder, file))


def would_end(container_id: str, memory: int) -> bool:
    """Return whether this limit of memory may end what runs in a container; True where that is unknown."""
    folders = finder.find(container_id)
    if folders is None:
        return True
    limit = cgroup_folders.number(folders.memory, "memory.max" if folders.is_v2 else "memory.limit_in_bytes")
    used = cgroup_folders.memory_in_use(folders)
    return (limit is None or limit > memory) and (used is None or used >= memory)


def _is_another_memory(text: str, wanted: int) -> bool:
    limit = int(text) if text.isdigit() else UNLIMITED
    return abs(limit - wanted) >= PAGE


def _cores(folders: CgroupFolders) -> float | None:
    """Return the cores that it may use, infinite without a limit; None if that cannot be read."""
    if folders.is_v2:
        words = _read(folders.quota, "cpu.max").split()
    else:
        words = [_read(folders.quota, f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    if len(words) != 2 or not words[1].isdigit() or not int(words[1]):
        return None
    return int(words[0]) / int(words[1]) if words[0].isdigit() else float("inf")


def _read(folder: str | None, name: str) -> str:
    return "" if folder is None else cgroup_folders.read(f"{folder}/{name}").strip()
