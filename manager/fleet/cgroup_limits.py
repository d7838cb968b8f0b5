"""Compare a running container's limits with its spec, in the cgroup's own files: see a `docker update`.

The engine's list does not have the limits, and an inspect is a call for each instance; these are three small
reads. Where the files are not in one of the usual places, nothing is said: `manager doctor` asks the engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.util import kernel_file

ROOT = "/sys/fs/cgroup"
UNLIMITED = 1 << 60
"""Version 1 writes “no limit” as 2^63, rounded down to a page."""
PAGE = 1 << 16
"""The largest page that a kernel rounds a limit to."""
CPU_TOLERANCE = 0.011
"""In cores: systemd rounds a quota up to the next hundredth."""
MAX_BYTES = 100


def are_others(container_id: str, spec: InstanceSpec, fleet: Fleet) -> bool:
    """Return whether a running container has another limit than its spec; False where it cannot be seen."""
    for folder, is_unified in _places():
        memory = _read(
            f"{ROOT}/{'' if is_unified else 'memory/'}{folder.format(id=container_id)}/"
            f"{'memory.max' if is_unified else 'memory.limit_in_bytes'}"
        )
        if memory:
            break
    else:
        return False
    if _is_another_memory(memory, spec.memory):
        return True
    cores = _cores(folder.format(id=container_id), is_unified=is_unified)
    if cores is not None and abs(cores - spec.nano_cpus / 1e9) > CPU_TOLERANCE:
        return True
    pids = _read(f"{ROOT}/{'' if is_unified else 'pids/'}{folder.format(id=container_id)}/pids.max")
    return bool(pids) and pids != str(fleet.pids_limit)


def _places() -> Iterator[tuple[str, bool]]:
    """Yield where the engine's drivers put a container's cgroup, and whether it is of version 2."""
    user = os.geteuid()
    yield "system.slice/docker-{id}.scope", True
    yield "docker/{id}", True
    yield "docker/{id}", False
    yield "system.slice/docker-{id}.scope", False
    yield f"user.slice/user-{user}.slice/user@{user}.service/user.slice/docker-{{id}}.scope", True


def _is_another_memory(text: str, wanted: int) -> bool:
    limit = int(text) if text.isdigit() else UNLIMITED
    return abs(limit - wanted) >= PAGE


def _cores(folder: str, *, is_unified: bool) -> float | None:
    """Return the cores that it may use, infinite without a limit; None if that cannot be read."""
    if is_unified:
        words = _read(f"{ROOT}/{folder}/cpu.max").split()
    else:
        words = [_read(f"{ROOT}/cpu/{folder}/cpu.cfs_{name}_us") for name in ("quota", "period")]
    if len(words) != 2 or not words[1].isdigit() or not int(words[1]):
        return None
    return int(words[0]) / int(words[1]) if words[0].isdigit() else float("inf")


def _read(path: str) -> str:
    return kernel_file.read(path, MAX_BYTES).strip()
