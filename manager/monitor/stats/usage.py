"""Samples of what containers have used → the figures that people read. Pure.

A sample comes from the cgroup's files (cgroups.py) or from the engine's own statistics, which hold the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """What a container has used by one moment: `at` in seconds of a steady clock, CPU in seconds, all else but pids in bytes.

    `memory` is without file pages that the kernel can drop at once. None: not known here.
    """

    at: float
    cpu_s: float
    memory: int
    memory_limit: int | None = None
    pids: int | None = None
    received: int | None = None
    sent: int | None = None
    read: int | None = None
    written: int | None = None


class Usage(NamedTuple):
    """What a container uses now. `cpu`: percent of one core, None until there are two samples."""

    cpu: float | None
    last: Sample

    @property
    def memory_share(self) -> float | None:
        """Percent of the limit that is in use."""
        return 100 * self.last.memory / self.last.memory_limit if self.last.memory_limit else None


def between(before: Sample | None, after: Sample) -> Usage:
    """The figures of the time between two samples. A container that began anew meanwhile has no CPU figure yet."""
    if before is None or after.at <= before.at or after.cpu_s < before.cpu_s:
        return Usage(None, after)
    return Usage(100 * (after.cpu_s - before.cpu_s) / (after.at - before.at), after)


def without_cache(used: int, idle_files: int) -> int:
    """Bytes that the kernel could not just drop: what `docker stats` calls the memory usage.

    File pages that nobody has touched lately are left out: a bot that writes logs would seem to grow for ever.
    """
    return used - idle_files if idle_files < used else used


def of_engine(raw: Mapping[str, Any], at: float) -> Sample | None:
    """The sample in an answer of the engine's statistics; None for a container that does not run."""
    memory = raw.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    stat = memory.get("stats") or {}
    idle = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    networks = (raw.get("networks") or {}).values()
    disks = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return Sample(
        at=at,
        cpu_s=raw["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory=without_cache(memory["usage"], idle),
        memory_limit=memory.get("limit"),
        pids=(raw.get("pids_stats") or {}).get("current"),
        received=sum(each["rx_bytes"] for each in networks),
        sent=sum(each["tx_bytes"] for each in networks),
        read=_disk(disks, "read"),
        written=_disk(disks, "write"),
    )


def _disk(rows: Iterable[Mapping[str, Any]], word: str) -> int:
    return sum(each["value"] for each in rows if str(each["op"]).lower() == word)
