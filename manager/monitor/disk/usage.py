"""Tell the size and growth of each instance's folders, from what `watch` has recorded or by measuring."""

from __future__ import annotations

import time
from collections.abc import Iterable

from manager.config.fleet import Fleet
from manager.fleet.instance import Instance
from manager.monitor.disk import folders, growth, record
from manager.typed import NamedTuple

FRESH_S = 150.0
"""Older records come from a `watch` that has ended: the folders are measured again."""
MEASURE_S = 1.0
"""For all instances together. Folders of trading bots have a few files each."""


class DiskUse(NamedTuple):
    """Hold what an instance's folders take. `growth`: bytes within the last hour; None if unknown."""

    size: int
    files: int
    is_whole: bool
    growth: int | None = None


def read(fleet: Fleet, views: Iterable[Instance]) -> dict[str, DiskUse]:
    """Return instance → size and growth; what cannot be measured in a second is left out."""
    known, now = record.load_kept(fleet.disk_file), time.time()
    deadline = time.monotonic() + MEASURE_S
    usages = {}
    for view in views:
        samples = growth.recent(known.get(view.id, []), now)
        if not samples or now - samples[-1].at > FRESH_S:
            left = deadline - time.monotonic()
            if left <= 0:
                continue
            samples.append(folders.measure(fleet, view, left))
        added = growth.growth(samples)
        last = samples[-1]
        usages[view.id] = DiskUse(last.size, last.files, last.is_whole, added.size if added else None)
    return usages
