"""What a container uses, from its cgroup's own files: hundreds of containers in milliseconds, and no call to the engine.

A process says which cgroups it is in (/proc/PID/cgroup), the mount table where their files are. So nothing is guessed: version 1,
version 2, the hybrid of both, and both of the engine's drivers (cgroupfs, systemd) are found in the same way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from manager.fleet import host
from manager.monitor.stats.usage import Sample, without_cache

INIT = 1
"""The pid inside of the process that every container has as long as it runs."""

MAX_BYTES = 1 << 16
"""io.stat has a line for each disk; none of the other files comes near."""

UNLIMITED = 1 << 60
"""Version 1 writes no limit as the largest multiple of a page, 2^63 less a little."""

UNIFIED = ""
"""The name of version 2's hierarchy, which holds every controller that version 1 has not taken."""


class Mount(NamedTuple):
    """Where a hierarchy's files are, and which of its cgroups is at the top there (`/`, but for a manager in a container)."""

    at: str
    root: str


Mounts = Mapping[str, Mount]
"""By controller, version 2's under UNIFIED."""


class Place(NamedTuple):
    """Where one container's figures are. Folders, None where there is none; `pid`: its first process on the host."""

    pid: int
    cpu: str | None
    memory: str | None
    pids: str | None
    disk: str | None
    is_v2: bool

    @property
    def is_whole(self) -> bool:
        """Whether CPU and memory can be read: else the engine has to be asked."""
        return self.cpu is not None and self.memory is not None


def mounts(proc: Path = host.PROC) -> Mounts:
    """The cgroup hierarchies of this machine; empty where there are none, as on a Mac."""
    found: dict[str, Mount] = {}
    try:
        lines = (proc / "self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        before, _dash, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in {"cgroup", "cgroup2"}:
            continue
        names = [UNIFIED] if kind[0] == "cgroup2" else kind[2].split(",")
        for name in names:
            found.setdefault(name, Mount(_unescaped(fields[4]), _unescaped(fields[3])))
    return found


def places(containers: Iterable[str], mounted: Mounts, proc: Path = host.PROC) -> dict[str, Place]:
    """Container id → where its figures are, for the running ones whose first process is within sight."""
    pids = host.host_pids(((each, INIT) for each in containers), proc=proc) if mounted else {}
    found = {container: place(pid, mounted, proc) for (container, _init), pid in pids.items()}
    return {container: each for container, each in found.items() if each.is_whole}


def place(pid: int, mounted: Mounts, proc: Path = host.PROC) -> Place:
    """Where the figures of this process's cgroup are."""
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
        return None if relative.startswith("..") else os.path.join(at, relative)  # noqa: PTH118 - hundreds a second

    is_v2 = "memory" not in paths or "memory" not in mounted
    if is_v2:
        unified = folder(UNIFIED)
        return Place(pid, unified, unified, unified, unified, is_v2)
    return Place(pid, folder("cpuacct"), folder("memory"), folder("pids"), folder("blkio"), is_v2)


def sample(where: Place, proc: Path = host.PROC) -> Sample | None:
    """What the container has used by now; None when it is gone."""
    at = time.monotonic()
    cpu_s = _cpu_seconds(where)
    used = _number(where.memory, "memory.current" if where.is_v2 else "memory.usage_in_bytes")
    if cpu_s is None or used is None:
        return None
    limit = _number(where.memory, "memory.max" if where.is_v2 else "memory.limit_in_bytes")
    stat = _table(where.memory, "memory.stat")
    read, written = _disk(where)
    received, sent = _network(where.pid, proc)
    return Sample(
        at=at,
        cpu_s=cpu_s,
        memory=without_cache(used, stat.get("inactive_file" if where.is_v2 else "total_inactive_file", 0)),
        memory_limit=None if limit is None or limit >= UNLIMITED else limit,
        pids=_number(where.pids, "pids.current"),
        received=received,
        sent=sent,
        read=read,
        written=written,
    )


def _cpu_seconds(where: Place) -> float | None:
    if where.is_v2:
        used = _table(where.cpu, "cpu.stat").get("usage_usec")
        return None if used is None else used / 1e6
    used = _number(where.cpu, "cpuacct.usage")
    return None if used is None else used / 1e9


def _disk(where: Place) -> tuple[int | None, int | None]:
    """(bytes read, bytes written), all disks together."""
    if where.disk is None:
        return None, None
    words = _read(f"{where.disk}/{'io.stat' if where.is_v2 else 'blkio.throttle.io_service_bytes_recursive'}")
    if where.is_v2:
        pairs = [field.partition("=") for field in words.split()]
        amounts = [(name, value) for name, _equals, value in pairs]
        return _sum(amounts, "rbytes"), _sum(amounts, "wbytes")
    rows = [line.split() for line in words.splitlines()]
    amounts = [(row[1], row[2]) for row in rows if len(row) == 3]
    return _sum(amounts, "Read"), _sum(amounts, "Write")


def _network(pid: int, proc: Path) -> tuple[int | None, int | None]:
    """(bytes received, bytes sent) in the process's network, the loopback not counted."""
    rows = [line.replace(":", " ").split() for line in _read(f"{proc}/{pid}/net/dev").splitlines()[2:]]
    cards = [row for row in rows if len(row) > 9 and row[0] != "lo"]
    if not rows:
        return None, None
    return _sum((("in", row[1]) for row in cards), "in"), _sum((("out", row[9]) for row in cards), "out")


def _sum(amounts: Iterable[tuple[str, str]], name: str) -> int:
    return sum(int(value) for each, value in amounts if each == name and value.isdigit())


def _number(folder: str | None, name: str) -> int | None:
    text = "" if folder is None else _read(f"{folder}/{name}").strip()
    return int(text) if text.isdigit() else None


def _table(folder: str | None, name: str) -> dict[str, int]:
    rows = (line.split() for line in _read(f"{folder}/{name}").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _read(path: str) -> str:
    """These files of the kernel come whole in one read; one that is gone, or not ours to see, is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, MAX_BYTES).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _unescaped(path: str) -> str:
    """The mount table writes a space as `\\040`."""
    return path.encode().decode("unicode_escape") if "\\" in path else path
