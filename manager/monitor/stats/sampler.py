"""Sample what containers use, from their cgroups where these are accessible, else through the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from manager.errors import NotFound
from manager.fleet import cgroup_folders
from manager.monitor.stats import cgroups, usage
from manager.monitor.stats.usage import Sample, Usage

Statistics = Callable[[str], Mapping[str, Any]]

CONCURRENT_CALLS = 8
"""A call costs the engine 3 ms of CPU time, so that more concurrent calls are no faster."""


class Sampler:
    """Measure usage against each container's previous sample."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._mounts = cgroup_folders.read_mounts()
        self._folders: dict[str, cgroup_folders.CgroupFolders] = {}
        self._samples: dict[str, Sample] = {}

    def measure(self, containers: Iterable[str]) -> dict[str, Usage]:
        """Return container id → usage, for those that run.

        CPU is measured since the previous call; None at the first.

        Raises EngineUnreachable if the engine has to be asked.
        """
        ids = list(containers)
        now = self._take_samples(ids)
        usages = {
            container: usage.usage_between(self._samples.get(container), sample)
            for container, sample in now.items()
        }
        self._samples = now
        return usages

    def _take_samples(self, ids: list[str]) -> dict[str, Sample]:
        self._folders = {
            container: self._folders[container] for container in ids if container in self._folders
        }
        unknown = [container for container in ids if container not in self._folders]
        if unknown:
            self._folders.update(cgroup_folders.find_all_folders(unknown, self._mounts))
        samples = {}
        for container, folders in list(self._folders.items()):
            sample = cgroups.take_sample(folders)
            if sample is None or sample.received is None:  # it has exited, or its first process changed
                del self._folders[container]
            if sample is not None:
                samples[container] = sample
        return samples | self._ask_engine([container for container in ids if container not in samples])

    def _ask_engine(self, ids: list[str]) -> dict[str, Sample]:
        """Return the engine's samples, for cgroups that are not accessible.

        These are another user's, Docker Desktop's, or a rootless engine's.
        """
        if not ids:
            return {}
        from concurrent.futures import ThreadPoolExecutor  # 10 ms, not needed for cgroups

        with ThreadPoolExecutor(CONCURRENT_CALLS) as pool:
            samples = pool.map(self._ask, ids)
            return {
                container: sample
                for container, sample in zip(ids, samples, strict=True)
                if sample is not None
            }

    def _ask(self, container: str) -> Sample | None:
        with suppress(NotFound):  # the container was removed meanwhile
            raw = self._statistics(container)
            return usage.parse_engine_stats(raw, time.monotonic())
        return None
