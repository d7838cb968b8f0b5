"""Read what a container uses from its cgroup's files: hundreds of containers in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from manager.fleet import cgroup_folders, host
from manager.fleet.cgroup_folders import CgroupFolders, entry, number, read
from manager.monitor.stats.usage import Sample

UNLIMITED = 1 << 60
"""cgroup v1 writes "no limit" as 2^63, rounded down to a page."""


def take_sample(folders: CgroupFolders, proc: Path = host.PROC) -> Sample | None:
    """Return what the container has used so far; None if it no longer runs."""
    at = time.monotonic()
    cpu_s = _cpu_seconds(folders)
    used = cgroup_folders.memory_in_use(folders)
    if cpu_s is None or used is None:
        return None
    limit = number(folders.memory, "memory.max" if folders.is_v2 else "memory.limit_in_bytes")
    read, written = _disk(folders)
    received, sent, packets_sent = _network(folders.pid, proc)
    return Sample(
        at=at,
        cpu_s=cpu_s,
        memory=used,
        memory_limit=None if limit is None or limit >= UNLIMITED else limit,
        pids=number(folders.pids, "pids.current"),
        received=received,
        sent=sent,
        read=read,
        written=written,
        packets_sent=packets_sent,
    )


def _cpu_seconds(folders: CgroupFolders) -> float | None:
    if folders.is_v2:
        used = entry(folders.cpu, "cpu.stat", "usage_usec")
        return None if used is None else used / 1e6
    used = number(folders.cpu, "cpuacct.usage")
    return None if used is None else used / 1e9


def _disk(folders: CgroupFolders) -> tuple[int | None, int | None]:
    """Return (bytes read, bytes written) of all disks."""
    if folders.disk is None:
        return None, None
    text = read(
        f"{folders.disk}/{'io.stat' if folders.is_v2 else 'blkio.throttle.io_service_bytes_recursive'}"
    )
    if folders.is_v2:
        pairs = [field.partition("=") for field in text.split()]
        amounts = [(name, value) for name, _equals, value in pairs]
        return _sum(amounts, "rbytes"), _sum(amounts, "wbytes")
    rows = [line.split() for line in text.splitlines()]
    amounts = [(row[1], row[2]) for row in rows if len(row) == 3]
    return _sum(amounts, "Read"), _sum(amounts, "Write")


def _network(pid: int, proc: Path) -> tuple[int | None, int | None, int | None]:
    """Return (bytes received, bytes sent, packets sent) of the process's network namespace, without the
    loopback.
    """
    lines = read(f"{proc}/{pid}/net/dev").splitlines()[2:]
    if not lines:
        return None, None, None
    received = sent = packets = 0
    for line in lines:
        name, _colon, rest = line.partition(":")
        figures = rest.split(None, 10)
        if len(figures) < 10 or name.strip() == "lo":
            continue
        if all(figures[column].isdigit() for column in (0, 8, 9)):
            received += int(figures[0])
            sent += int(figures[8])
            packets += int(figures[9])
    return received, sent, packets


def _sum(amounts: Iterable[tuple[str, str]], name: str) -> int:
    return sum(int(value) for key, value in amounts if key == name and value.isdigit())
