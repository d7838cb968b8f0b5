"""Keep the latest look at the fleet for the next scrape, and write targets.json."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import manager
from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.fleet.bot_report import Report
from manager.fleet.instance import Instance
from manager.monitor.metrics import families
from manager.monitor.metrics.families import FleetSample, Moves
from manager.monitor.metrics.other_hosts import OtherHosts
from manager.monitor.metrics.targets import targets
from manager.monitor.stats.instance_stats import with_best_report
from manager.monitor.stats.sampler import Sampler, Statistics
from manager.monitor.stats.usage import Usage
from manager.ops.backup import retention
from manager.ops.requests.request_budget import Budgets
from manager.typed import NamedTuple
from manager.util import atomic_file

MEASURE_EVERY_S = 25.0
"""What containers use is in some ten of the kernel's files each: a change that is looked at needs no new
reading of all, and a look comes every 30 s without one.
"""
UNREAD_EVERY_S = 55.0
READ_WITHIN_S = 300.0
"""Without a scrape for so long, it is read half as often."""
BACKUPS_EVERY_S = 60.0
"""Every backup is opened to see whether it is complete."""


class Answer(NamedTuple):
    """Hold what a bot itself has answered. `tick_at`: when its loop last ran, Unix time."""

    report: Report
    tick_at: float | None


class Seen(NamedTuple):
    """Hold what a look has seen, until a scrape needs the rows: most looks have none."""

    views: Mapping[str, Instance] = MappingProxyType({})
    usages: Mapping[str, Usage] = MappingProxyType({})
    answers: Mapping[str, Answer] = MappingProxyType({})

    def told_in(self, look: FleetSample) -> FleetSample:
        """Return the look with its rows, and when each bot's loop last ran."""
        rows = [
            with_best_report(
                view,
                self.usages.get(view.container.id) if view.container else None,
                _answer(view, self.answers.get(view.id)),
            )
            for view in self.views.values()
        ]
        ticks = {one: answer.tick_at for one, answer in self.answers.items() if answer.tick_at is not None}
        return look._replace(rows=rows, last_ticks=ticks)


class Publisher(Collector):
    """Hold the latest look. `say` gets what goes wrong, once until something else does."""

    def __init__(self, fleet: Fleet, statistics: Statistics, say: Callable[[object], object]) -> None:
        self._sampler = Sampler(statistics)
        self.usages: Mapping[str, Usage] = {}
        """What each container used when that was last measured."""
        self._measured_at = self._scraped_at = float("-inf")
        self._say = say
        self._last_text = ""
        self._look, self._seen = FleetSample(fleet.name, manager.__version__, (), None), Seen()
        self._targets: object = None
        self._targets_of: object = None
        """What these were made of."""
        self._last_backup: float | None = None
        self._next_backups = 0.0
        self._hosts = OtherHosts()

    def collect(self) -> Iterable[Metric]:
        """Return the families of the latest look; called by a scrape, in another thread."""
        self._scraped_at = time.monotonic()
        return families.families(self._seen.told_in(self._look))

    def publish(
        self,
        fleet: Fleet,
        views: Mapping[str, Instance],
        answers: Mapping[str, Answer],
        budgets: Budgets,
    ) -> None:
        """Measure what the containers use if it is time, and replace the look.

        Raises EngineError where the engine has to be asked.
        """
        usages = self._measured(
            [view.container.id for view in views.values() if view.container and view.container.is_up]
        )
        self._seen = Seen(views, usages, answers)
        self._look = FleetSample(
            fleet.name,
            manager.__version__,
            (),
            time.time(),
            last_backup=self._newest_backup(fleet),
            budgets=budgets,
            hosts=self._hosts.latest(fleet),
            limit_stop_at=self._look.limit_stop_at,
            moves=self._look.moves,
        )
        self._write_targets(fleet, views)

    def _measured(self, running: Sequence[str]) -> Mapping[str, Usage]:
        """Return what these containers use; measured anew where one has come, too."""
        now = time.monotonic()
        every = MEASURE_EVERY_S if now - self._scraped_at < READ_WITHIN_S else UNREAD_EVERY_S
        if now - self._measured_at >= every or not self.usages.keys() >= set(running):
            self.usages, self._measured_at = self._sampler.measure(running), now
        else:  # one that runs no longer is to be measured anew when it does again
            self.usages = {container: self.usages[container] for container in running}
        return self.usages

    def note_stop_by_limit(self, at: float) -> None:
        """Tell of it: what was stopped is no longer wanted, as after a person's stop, which pages nobody."""
        self._look = self._look._replace(limit_stop_at=at)

    def note_moves(self, moves: Moves) -> None:
        """Tell of moves between machines, at which `watch` looks in its own time."""
        self._look = self._look._replace(moves=moves)

    def engine_is_away(self, why: str) -> None:
        """Keep the last look, and say that the engine does not answer."""
        self._look = self._look._replace(why_away=why)

    def close(self) -> None:
        """End: no `watch` publishes any longer."""

    def _newest_backup(self, fleet: Fleet) -> float | None:
        now = time.monotonic()
        if now >= self._next_backups:
            self._next_backups = now + BACKUPS_EVERY_S
            try:
                backups = retention.list_backups(fleet.backup_dir, fleet.name)
            except ManagerError as error:
                self._say_once(str(error))
                return self._last_backup
            self._last_backup = next((backup.made_at for backup in backups if backup.is_full), None)
        return self._last_backup

    def _write_targets(self, fleet: Fleet, views: Mapping[str, Instance]) -> None:
        made_of = fleet, [(view.container, view.spec) for view in views.values()]
        if made_of == self._targets_of:
            return
        present = targets(fleet, views.values())
        if present == self._targets:
            self._targets_of = made_of
            return
        path = fleet.targets_file
        try:
            atomic_file.write_atomically(path, present)
        except OSError as error:
            self._say_once(f"{path}: {error.strerror or error}")
            return
        self._targets, self._targets_of = present, made_of

    def _say_once(self, text: str) -> None:
        if text != self._last_text:
            self._last_text = text
            self._say(text)


def _answer(view: Instance, answer: Answer | None) -> Report | None:
    """Return the answer of a bot that writes no report: a report that is kept says more."""
    return answer.report if answer is not None and view.report is None else None
