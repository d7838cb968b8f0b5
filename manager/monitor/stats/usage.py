"""Convert samples of what containers have used to the figures that users read. Pure.

A sample comes from the cgroup's files (cgroups.py) or from the engine's statistics, which contain the same
numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from manager.fleet.cgroup_folders import without_cache
from manager.typed import NamedTuple


class Sample(NamedTuple):
    """Hold what a container has used up to one moment. None means unknown.

    `at`: seconds of a monotonic clock; `cpu_s` in seconds; `pids` and `packets_sent` are counts; all else is
    in bytes.
    `memory` excludes file pages that the kernel can drop at once.
    """

    at: float
    cpu_s: float | None
    memory: int | None
    memory_limit: int | None = None
    pids: int | None = None
    received: int | None = None
    sent: int | None = None
    read: int | None = None
    written: int | None = None
    packets_sent: int | None = None


class Usage(NamedTuple):
    """Hold what a container uses now. `cpu`: percent of one core; None until there are two samples."""

    cpu: float | None
    last: Sample

    @property
    def memory_share(self) -> float | None:
        """Return the percentage of the memory limit in use; None without a limit."""
        if self.last.memory is None or not self.last.memory_limit:
            return None
        return 100 * self.last.memory / self.last.memory_limit


def usage_between(before: Sample | None, after: Sample) -> Usage:
    """Return the usage between two samples. A container restarted in between has no CPU figure yet."""
    if before is None or after.at <= before.at or before.cpu_s is None or after.cpu_s is None:
        return Usage(None, after)
    if after.cpu_s < before.cpu_s:
        return Usage(None, after)
    return Usage(100 * (after.cpu_s - before.cpu_s) / (after.at - before.at), after)


def parse_engine_stats(raw: Mapping[str, Any], at: float) -> Sample | None:
    """Return the sample in the engine's statistics; None for a container that is not running.

    Of one in no cgroup of its own, under a rootless engine, nobody counts the processes, and CPU, memory and
    disk are the whole machine's: only what its network has is its own.
    """
    memory, pids = raw.get("memory_stats") or {}, (raw.get("pids_stats") or {}).get("current")
    if "usage" not in memory:
        return None
    networks = list((raw.get("networks") or {}).values())
    sample = Sample(
        at=at,
        cpu_s=None,
        memory=None,
        received=sum(network["rx_bytes"] for network in networks),
        sent=sum(network["tx_bytes"] for network in networks),
        packets_sent=sum(network.get("tx_packets", 0) for network in networks),
    )
    if pids is None:
        return sample
    stat = memory.get("stats") or {}
    idle = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    disks = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return sample._replace(
        cpu_s=raw["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory=without_cache(memory["usage"], idle),
        memory_limit=memory.get("limit"),
        pids=pids,
        read=_disk(disks, "read"),
        written=_disk(disks, "write"),
    )


def _disk(rows: Iterable[Mapping[str, Any]], operation: str) -> int:
    return sum(row["value"] for row in rows if str(row["op"]).lower() == operation)
