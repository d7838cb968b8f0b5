"""Decide what the sizes of folders, and of the disk, mean: growth, and which bot fills the disk. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from manager.config.fleet import DiskRules
from manager.typed import NamedTuple
from manager.util.folder_size import FolderSize
from manager.util.formatting import MB

WINDOW_S = 3600.0
"""Growth is what was added within this time: a flood is seen at once, a steady growth within the hour."""
TREND_S = 20.0
"""The disk must lose space for so long before its end is predicted: a VACUUM of gigabytes takes less."""
AHEAD_S = 120.0
"""How long before the disk is full a bot is stopped: a stop takes 50 s, in which it goes on writing."""
LATELY_S = 120.0
SLOW_S = 900.0
"""The disk is followed for so long before somebody is seen to fill it slowly."""
SLOW_AHEAD_S = 4 * 3600.0
"""A bot that fills the disk slowly is stopped so long before the end."""
MIN_GROWTH, MIN_FILES = 64 * MB, 5_000
"""A bot that has added less does not fill a disk; on a small disk a hundredth of it counts."""

Why = Literal["size", "files", "space", "inodes", "unknown"]
Quantity = Literal["size", "files"]
Culprit = tuple[str, int]
"""An instance, and what it has added."""


class Sample(NamedTuple):
    """Hold what an instance's folders took at one moment. `at`: Unix time."""

    at: float
    size: int
    files: int
    is_whole: bool = True

    def with_more(self, more: FolderSize) -> Sample:
        """Return the sample with what lies elsewhere than in the folders."""
        return Sample(
            self.at, self.size + more.size, self.files + more.files, self.is_whole and more.is_whole
        )


class Free(NamedTuple):
    """Hold what the disk had free at one moment. `at`: monotonic seconds. Totals of 0 are not known."""

    at: float
    space: int
    inodes: int
    total_space: int
    total_inodes: int


class Excess(NamedTuple):
    """Name a bot that is to be stopped.

    `why`: its folders exceed their limit (`size`, `files`), or it fills the disk (`space`, `inodes`), or
    nobody is seen to, and what it has cannot be counted (`unknown`).
    `amount`: what it has, or has added; `limit`: the setting, or what is still free.
    """

    instance: str
    why: Why
    amount: int
    limit: int


def recent(samples: Sequence[Sample], now: float) -> list[Sample]:
    """Return the samples of the last hour, and none of a future that a stepping clock has left."""
    return [sample for sample in samples if now - WINDOW_S <= sample.at <= now]


def growth(samples: Sequence[Sample]) -> Sample | None:
    """Return what was added within the window, `at` being the seconds; None if that is not known.

    What was counted in part at first says nothing; at last, it was at least as much.
    """
    complete = [sample for sample in samples[:-1] if sample.is_whole]
    return _between(complete[0], samples[-1]) if complete else None


def _between(first: Sample, last: Sample) -> Sample:
    return Sample(last.at - first.at, last.size - first.size, last.files - first.files)


def is_ending(free: Sequence[Free], rules: DiskRules) -> tuple[bool, bool]:
    """Return whether space and inodes are below what is to be kept free, or soon will be."""
    if not free:
        return False, False
    last = free[-1]
    kept_space = min(rules.keep_free_mb * MB, last.total_space // 20)
    kept_inodes = last.total_inodes * rules.keep_free_inodes_percent // 100
    before = next((sample for sample in reversed(free) if last.at - sample.at >= TREND_S), None)
    seconds = last.at - before.at if before else 1.0
    space_rate = (before.space - last.space) / seconds if before else 0.0
    inode_rate = (before.inodes - last.inodes) / seconds if before else 0.0
    return (
        bool(kept_space) and last.space - space_rate * AHEAD_S < kept_space,
        bool(kept_inodes) and last.inodes - inode_rate * AHEAD_S < kept_inodes,
    )


def excesses(
    samples: Mapping[str, Sequence[Sample]],
    free: Sequence[Free],
    rules: DiskRules,
    *,
    ending: tuple[bool, bool],
    past: Sequence[Free] = (),
) -> list[Excess]:
    """Return the bots to stop: each that exceeds its limit, and the one that fills a disk that ends.

    `free`: of the last minute; `past`: since longer, for a bot that fills the disk slowly.
    """
    exceeding = []
    for instance, of_instance in samples.items():
        if not of_instance:
            continue
        size, files = of_instance[-1].size, of_instance[-1].files
        if rules.instance_mb and size > rules.instance_mb * MB:
            exceeding.append(Excess(instance, "size", size, rules.instance_mb * MB))
        elif rules.instance_files and files > rules.instance_files:
            exceeding.append(Excess(instance, "files", files, rules.instance_files))
    if exceeding or not free:
        return exceeding
    last = free[-1]
    if ending[0] and (culprit := _fastest(samples, "size", min(MIN_GROWTH, last.total_space // 100))):
        return [Excess(culprit[0], "space", culprit[1], last.space)]
    if ending[1] and (culprit := _fastest(samples, "files", min(MIN_FILES, last.total_inodes // 100))):
        return [Excess(culprit[0], "inodes", culprit[1], last.inodes)]
    if ending[0] and (culprit := _slowest(samples, past, last, "size", "space")):
        return [Excess(culprit[0], "space", culprit[1], last.space)]
    if ending[1] and (culprit := _slowest(samples, past, last, "files", "inodes")):
        return [Excess(culprit[0], "inodes", culprit[1], last.inodes)]
    if any(ending) and (hidden := _uncounted(samples)):
        return [Excess(hidden[0], "unknown", hidden[1], last.space)]
    return []


def _uncounted(samples: Mapping[str, Sequence[Sample]]) -> tuple[str, int] | None:
    """Return the largest instance that was counted in part now and before.

    It has folders nested without end, or closed to us, or files by the million: its growth is not known.
    """
    sizes = {
        instance: of_instance[-1].size
        for instance, of_instance in samples.items()
        if len(of_instance) > 1 and not any(sample.is_whole for sample in of_instance[-2:])
    }
    return max(sizes.items(), key=lambda item: item[1]) if sizes else None


def _fastest(samples: Mapping[str, Sequence[Sample]], quantity: Quantity, least: int) -> Culprit | None:
    """Return the instance that has added most lately, if that is half of all that was added, and a lot."""
    return _most({name: _lately(of_instance) for name, of_instance in samples.items()}, quantity, least)


def _slowest(
    samples: Mapping[str, Sequence[Sample]],
    past: Sequence[Free],
    last: Free,
    quantity: Quantity,
    place: Literal["space", "inodes"],
) -> Culprit | None:
    """Return the instance that has added most within the window, if that is half of what the disk has lost,
    and if in some hours it will have used up what is left.
    """
    first = next((free for free in past if last.at - free.at <= WINDOW_S), last)
    seconds = last.at - first.at
    if seconds < SLOW_S:
        return None
    lost, left = getattr(first, place) - getattr(last, place), getattr(last, place)
    added = {
        instance: growth([sample for sample in of_instance if of_instance[-1].at - sample.at <= seconds])
        for instance, of_instance in samples.items()
    }
    return _most(added, quantity, max(lost // 2, round(left * seconds / SLOW_AHEAD_S)))


def _most(added: Mapping[str, Sample | None], quantity: Quantity, least: int) -> Culprit | None:
    """Return the instance that has added most, if it is at least so much, and half of all."""
    amounts = {
        instance: max(0, getattr(more, quantity)) for instance, more in added.items() if more is not None
    }
    if not amounts:
        return None
    instance, most = max(amounts.items(), key=lambda item: item[1])
    return (instance, most) if most >= max(least, 1) and 2 * most >= sum(amounts.values()) else None


def _lately(samples: Sequence[Sample]) -> Sample | None:
    """Return what was added within two minutes, or since the sample before the last one."""
    late = [sample for sample in samples if samples[-1].at - sample.at <= LATELY_S]
    return growth(late if len(late) > 1 else samples[-2:])
