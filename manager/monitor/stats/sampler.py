"""Measures what containers use, again and again: from their cgroups where these are within sight, else by asking the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from manager.errors import NotFound
from manager.monitor.stats import cgroups, usage
from manager.monitor.stats.usage import Sample, Usage

Statistics = Callable[[str], Mapping[str, Any]]

ASKED_AT_ONCE = 8
"""A call takes the engine 3 ms of work, so that more at once is no faster."""


class Meter:
    """Keeps the last sample of each container, against which the next one is measured."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._mounts = cgroups.mounts()
        self._places: dict[str, cgroups.Place] = {}
        self._samples: dict[str, Sample] = {}

    def measure(self, containers: Iterable[str]) -> dict[str, Usage]:
        """Container id → what it uses, for those that run. CPU is that since the last call; None at the first.

        Raises EngineUnreachable, where the engine has to be asked.
        """
        ids = list(containers)
        now = self._sampled(ids)
        found = {each: usage.between(self._samples.get(each), sample) for each, sample in now.items()}
        self._samples = now
        return found

    def _sampled(self, ids: list[str]) -> dict[str, Sample]:
        self._places = {each: self._places[each] for each in ids if each in self._places}
        unknown = [each for each in ids if each not in self._places]
        if unknown:
            self._places.update(cgroups.places(unknown, self._mounts))
        found = {}
        for each, place in list(self._places.items()):
            sample = cgroups.sample(place)
            if sample is None or sample.received is None:  # it ended, or another process is its first one now
                del self._places[each]
            if sample is not None:
                found[each] = sample
        return found | self._asked([each for each in ids if each not in found])

    def _asked(self, ids: list[str]) -> dict[str, Sample]:
        """The engine's word, where the files are out of sight: another user's, Docker Desktop's, a rootless engine's."""
        if not ids:
            return {}
        from concurrent.futures import ThreadPoolExecutor  # 10 ms that the files do without

        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            samples = pool.map(self._ask, ids)
            return {each: sample for each, sample in zip(ids, samples, strict=True) if sample is not None}

    def _ask(self, container: str) -> Sample | None:
        with suppress(NotFound):  # removed since it was listed
            raw = self._statistics(container)
            return usage.of_engine(raw, time.monotonic())
        return None
