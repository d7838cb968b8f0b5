"""Measure the disk and each instance's folders in the background, and stop the bot that fills the disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from manager.config.fleet import DiskRules, Fleet
from manager.errors import ManagerError
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.monitor.disk import folders, growth, record
from manager.monitor.disk.growth import Excess, Free, Sample
from manager.monitor.watch import change_detector, deleted_files
from manager.monitor.watch.alert_rules import Condition
from manager.monitor.watch.alert_state import Alert
from manager.util.folder_size import FolderSize
from manager.util.formatting import MB, elapsed, file_size, size_beyond

MEASURE_EVERY_S = 60.0
REMEMBER_EVERY_S = 60.0
"""What the disk had free, for an hour."""
URGENT_EVERY_S = 3.0
"""While the disk comes to its end."""
MEASURE_WITHIN_S = 20.0
"""For one instance. One with so many files is measured in part, which is enough to exceed a limit."""
AGAIN_S = 30.0
"""After a stop that failed."""
DELETED_OF = 20
"""Instances whose deleted files are looked for in one measurement: a process has a hundred links to look at.
Of a larger fleet they are looked for in turns; all at once in the first one, and while the disk ends.
"""

NONE = FolderSize()
Stop = Callable[[str, Text], None]
"""Stop an instance gracefully, and for good, and note why. Raises ManagerError."""


class DiskGuard:
    """Follow the disk's free space each second, and the sizes of folders each minute."""

    def __init__(self, fleet: Fleet, stop: Stop) -> None:
        self._stop = stop
        self._free: deque[Free] = deque(maxlen=90)
        self._past: deque[Free] = deque(maxlen=round(growth.WINDOW_S / REMEMBER_EVERY_S))
        self._samples = {
            instance: growth.recent(samples, time.time())
            for instance, samples in record.load(fleet.disk_file).items()
        }
        self._grown_of: tuple[Mapping[str, Sequence[Sample]], DiskRules] | None = None
        self._grown: Mapping[str, Text] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        self._measuring: Future[dict[str, Sample]] | None = None
        self._next = self._measured_at = 0.0
        self._retry_at: dict[str, float] = {}
        self._deleted: dict[str, FolderSize] = {}
        """Of the thread that measures: what was last found, those that were looked at longest ago first."""
        self._is_over = False

    def close(self) -> None:
        """End the thread; a measurement that is under way ends by itself."""
        self._is_over = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self, fleet: Fleet, views: Mapping[str, Instance]) -> list[Alert]:
        """Measure what is due. Returns what was stopped."""
        disk = change_detector.disk(fleet.data_dir)
        if disk is not None:
            free = Free(time.monotonic(), disk.free, disk.inodes_free, disk.size, disk.inodes)
            self._free.append(free)
            if not self._past or free.at - self._past[-1].at >= REMEMBER_EVERY_S:
                self._past.append(free)
        ending = growth.is_ending(self._free, fleet.disk)
        if any(ending):
            self._next = min(self._next, self._measured_at + URGENT_EVERY_S)
        if self._measuring is None and time.monotonic() >= self._next:
            self._measuring = self._pool.submit(self._measure, fleet, dict(views), is_urgent=any(ending))
        if self._measuring is None or not self._measuring.done():
            return []
        measured, self._measuring = self._measuring.result(), None
        self._measured_at = time.monotonic()
        self._next = self._measured_at + MEASURE_EVERY_S
        self._keep(fleet, measured)
        running = {
            name: samples for name, samples in self._samples.items() if name in views and _runs(views[name])
        }
        alerts = []
        for excess in growth.excesses(running, self._free, fleet.disk, ending=ending, past=self._past):
            if time.monotonic() >= self._retry_at.get(excess.instance, 0.0):
                self._retry_at[excess.instance] = time.monotonic() + AGAIN_S
                alerts.append(self._stopped(excess))
        return alerts

    def conditions(self, fleet: Fleet, views: Mapping[str, Instance]) -> list[Condition]:
        """Return the conditions of instances whose folders grow."""
        samples, rules = self._samples, fleet.disk
        if self._grown_of is None or self._grown_of[0] is not samples or self._grown_of[1] != rules:
            # the samples are new once a minute, and this is asked each second
            self._grown = {
                instance: text
                for instance, of_instance in samples.items()
                if (added := growth.growth(of_instance)) is not None
                and (text := _growing(instance, added, rules)) is not None
            }
            self._grown_of = samples, rules
        return [
            Condition(instance, "growth", text, case=text.message)
            for instance, text in self._grown.items()
            if instance in views
        ]

    def _measure(
        self, fleet: Fleet, views: Mapping[str, Instance], *, is_urgent: bool = False
    ) -> dict[str, Sample]:
        sizes = {}
        self._look_for_deleted(fleet, views, is_urgent=is_urgent)
        for view in views.values():
            if self._is_over:
                break
            sample = folders.measure(fleet, view, MEASURE_WITHIN_S)
            sizes[view.id] = sample.with_more(self._deleted.get(view.id, NONE))
        return sizes

    def _look_for_deleted(self, fleet: Fleet, views: Mapping[str, Instance], *, is_urgent: bool) -> None:
        """Look for the deleted files of those whose turn it is: the new ones, who has waited longest, and who
        had any: a restart ends them, and must not be followed by a stop because of them.
        """
        running = {instance: view for instance, view in views.items() if _runs(view)}
        self._deleted = {key: size for key, size in self._deleted.items() if key in running}
        turn = [instance for instance in running if instance not in self._deleted]
        known = list(self._deleted)
        turns = set(known if is_urgent else known[: max(0, DELETED_OF - len(turn))])
        turn += [instance for instance in known if instance in turns or self._deleted[instance] != NONE]
        for instance, size in _deleted_of(fleet, running, turn).items():
            self._deleted.pop(instance, None)
            self._deleted[instance] = size

    def _keep(self, fleet: Fleet, measured: Mapping[str, Sample]) -> None:
        now = time.time()
        self._samples = {
            instance: record.thinned(growth.recent([*self._samples.get(instance, ()), sample], now))
            for instance, sample in measured.items()
        }
        try:
            record.save(fleet.disk_file, self._samples)
        except OSError:  # on a full disk the rule goes by what is in memory
            return

    def _stopped(self, excess: Excess) -> Alert:
        try:
            self._stop(excess.instance, _why(excess))
        except ManagerError as error:
            text = Text(
                "{id} cannot be stopped, although {why}: {error}",
                id=excess.instance,
                why=_why(excess),
                error=error,
            )
        else:
            text = Text(
                "{id} was stopped, because {why}; `manager start {id}` starts it again",
                id=excess.instance,
                why=_why(excess),
            )
        return Alert(excess.instance, "growth", "bad", text)


def _deleted_of(
    fleet: Fleet, running: Mapping[str, Instance], turn: Collection[str]
) -> Mapping[str, FolderSize]:
    sizes = deleted_files.of_instances(fleet, {instance: running[instance] for instance in turn})
    return {instance: sizes.get(instance, NONE) for instance in turn}


def _runs(view: Instance) -> bool:
    return view.container is not None and view.container.is_up


def _growing(instance: str, added: Sample, rules: DiskRules) -> Text | None:
    if rules.growth_mb and added.size >= rules.growth_mb * MB:
        return Text(
            "{id}: its folders have grown by {size} within {time}",
            id=instance,
            size=file_size(added.size),
            time=elapsed(added.at),
        )
    if rules.growth_files and added.files >= rules.growth_files:
        return Text(
            "{id} has created {count} files within {time}",
            id=instance,
            count=added.files,
            time=elapsed(added.at),
        )
    return None


def _why(excess: Excess) -> Text:
    match excess.why:
        case "size":
            return Text(
                "its folders take {size}, more than the limit of {limit}",
                size=size_beyond(excess.amount, excess.limit),
                limit=file_size(excess.limit),
            )
        case "files":
            return Text(
                "its folders have {count} files, more than the limit of {limit}",
                count=excess.amount,
                limit=excess.limit,
            )
        case "space":
            return Text(
                "its folders have grown by {size} and the disk has only {free} free",
                size=file_size(excess.amount),
                free=file_size(excess.limit),
            )
        case "unknown":
            return Text(
                "its folders cannot be counted completely and the disk has only {free} free",
                free=file_size(excess.limit),
            )
        case "inodes":
            return Text(
                "it has created {count} files and the disk has only {free} inodes free",
                count=excess.amount,
                free=excess.limit,
            )
