"""Observe what `top` shows: the fleet, its resource usage, and in turns what its bots report."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

from manager.config.fleet import Fleet
from manager.errors import Problem
from manager.fleet import bot_report
from manager.fleet.bot_report import KeptReport, Report
from manager.fleet.container_folder import says_ours
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.monitor.disk import usage as disk_usage
from manager.monitor.disk.usage import DiskUse
from manager.monitor.stats import reports
from manager.monitor.stats.collect import addresses
from manager.monitor.stats.instance_stats import NO_REPORT, InstanceStats, with_best_report
from manager.monitor.stats.sampler import Sampler
from manager.monitor.stats.usage import Usage
from manager.monitor.top.snapshots import SnapshotReader
from manager.monitor.watch.shared_look import NO_ANSWERS, SharedLook
from manager.typed import NamedTuple
from manager.util.folder_watch import FolderWatch

REPORT_EVERY_S = 10.0
"""A P&L is not needed in every observation, and an answer costs a bot some milliseconds."""

ASKED_A_SECOND = 10
"""At most: of a larger fleet each bot is asked less often. Its trades are told by the copy of its report,
which its supervisor renews; asking each of 200 bots every ten seconds was a large part of a look's cost.
"""

IDLE_EVERY_S = 10.0
"""Interval of looking for the report of an instance that has no container: a backup may have brought one."""

SIZES_EVERY_S = 30.0
"""Files may have to be counted for it; `watch` does that every minute."""

EMPTY_EVERY_S = 60.0
EMPTY_AFTER = 3
"""So many answers in a row of which none says anything: such a bot is asked less often."""

OF_WATCH_WITHIN_S = 10.0
"""Such a bot is not asked at all while `watch` asks it: so long after its minute its answers have come."""

RETRY_S = 3.0
"""Delay after a bot has not answered: it may only have been busy."""

REPORT_KEPT_S = 20.0
"""A bot's report is shown no longer than this after its next turn if it stops answering."""

NOT_READ = KeptReport(NO_REPORT)
"""In the place of a report that `watch` has not read."""

REPORTS_WITHIN_S = 0.5
"""Limit for the bots asked in one observation; the first one may take longer."""


class Snapshot(NamedTuple):
    """Hold one observation. `at`: monotonic seconds; `problems`: invalid configs and settings."""

    at: float
    rows: Sequence[InstanceStats]
    fleet: Fleet
    problems: Sequence[Problem]


class Source:
    """Observe the fleet, in one thread, and keep what makes the next observation cheap."""

    def __init__(
        self,
        session: Session,
        selection: Selection,
        interval: float,
        usage_every: float = 0.0,
        share: SharedLook | None = None,
        usage_of_watch: Callable[[], Mapping[str, Usage]] = dict,
    ) -> None:
        """Measure nothing yet. `usage_every`: seconds between measurements of what containers use.

        `share`: what `watch` sees, where it runs in this process; `usage_of_watch`: what it has measured.
        """
        self._session, self._selection = session, selection
        self._usage_every, self._usage_of_watch = usage_every, usage_of_watch
        self._used: Mapping[str, Usage] = {}
        self._use_at = 0.0
        self._interval = interval
        self._snapshots, self._share = SnapshotReader(session, share), share
        self._ours: Mapping[str, Instance] = {}
        """The instances whose containers say that they are ours, as observed."""
        self._answers_of_watch = NO_ANSWERS
        """Those that were taken last."""
        self._places: dict[str, tuple[Instance, tuple[str, int] | None]] = {}
        """Instance → as it was observed, and where its bot is asked."""
        self._shown: dict[str, tuple[Instance, Instance, KeptReport | None]] = {}
        """Instance → as it was observed, the same with its report, and what `watch` has read for it."""
        self._rows: dict[str, tuple[Instance, Report | None, InstanceStats]] = {}
        """Instance → what its row was made of, and the row."""
        self._meter = Sampler(session.engine().statistics)
        self._seen: tuple[FleetSnapshot | None, object] = None, None
        self._shown_views: Sequence[Instance] = ()
        self._is_all_read = True
        """Whether `watch` had read the reports of all."""
        self._made_of: tuple[object, ...] = (None, None, None, None)
        self._all_rows: Sequence[InstanceStats] = ()
        """The rows, and what they were made of."""
        self._measured_of: tuple[object, object] = None, None
        self._asked_of: object = None
        self._quiet_until = 0.0
        """Until when nobody is to be asked, and no answer is too old, if nothing is new about the bots."""
        self._answered: Mapping[str, Report] = {}
        """The reports in `_reports`, another object where one of them is."""
        self._reports: dict[str, tuple[float, Report]] = {}
        self._ask_at: dict[str, float] = {}
        self._empty: Counter[str] = Counter()
        """How many answers in a row have said nothing."""
        self._sizes: Mapping[str, DiskUse] = {}
        self._measure_at = self._look_for_all_at = 0.0
        self._fleet: Fleet | None = None
        self._folders: Mapping[str, str] = {}
        self._watch = FolderWatch()
        self._put_off: set[str] = set()
        """Instances whose reports are to be read as soon as it is time for all."""

    def look(self) -> Snapshot:
        """Return the fleet now. Raises ManagerError: no engine, a project that cannot be read."""
        snapshot = self._snapshots.read()
        views = self._views(snapshot)
        used = self._measure(views)
        self._ask(snapshot, views)
        if time.monotonic() >= self._measure_at:
            sizes = disk_usage.read(snapshot.project.fleet, views)
            self._sizes = self._sizes if sizes == self._sizes else sizes
            self._measure_at = time.monotonic() + SIZES_EVERY_S
        made_of = views, used, self._sizes, self._answered
        if any(new is not old for new, old in zip(made_of, self._made_of, strict=True)):
            self._made_of, self._all_rows = made_of, self._made(views, used)
        problems = [*self._foreign(snapshot), *snapshot.project.problems]
        return Snapshot(time.monotonic(), self._all_rows, snapshot.project.fleet, problems)

    def _views(self, snapshot: FleetSnapshot) -> Sequence[Instance]:
        """Return the instances with their bots' last reports; the very list of before where `watch` has told
        of nothing new.
        """
        seen = snapshot, self._snapshots.reports
        if (
            seen[1] is None
            or seen[0] is not self._seen[0]
            or seen[1] is not self._seen[1]
            or not self._is_all_read
        ):
            self._shown_views = self._with_reports(snapshot.project.fleet, self._chosen(snapshot))
            self._seen = seen
        return self._shown_views

    def _made(self, views: Sequence[Instance], used: Mapping[str, Usage]) -> Sequence[InstanceStats]:
        rows = [self._row(view, used.get(view.container.id) if view.container else None) for view in views]
        if len(self._rows) != len(rows):
            self._rows = {row.id: self._rows[row.id] for row in rows}
        return rows

    def _foreign(self, snapshot: FleetSnapshot) -> Sequence[Problem]:
        """Return a problem for each container of another folder. Most say that they are ours, and go on to as
        long as nothing is new about them.
        """
        before, fleet = self._ours, snapshot.project.fleet
        self._ours = {
            view.id: view
            for view in snapshot.views.values()
            if before.get(view.id) is view
            or (view.container is not None and says_ours(view.container, view.supervisor, fleet))
        }
        return snapshot.foreign(self._ours.keys())

    def _with_reports(self, fleet: Fleet, observed: Sequence[Instance]) -> list[Instance]:
        """Return the instances with their bots' last reports; one of which nothing is new is the very object
        of before, by which a reader of the looks can tell.
        """
        if self._snapshots.reports is not None:
            return self._with_reports_of_watch(fleet, observed, self._snapshots.reports)
        before, self._shown = self._shown, {}
        is_time = time.monotonic() >= self._look_for_all_at
        if is_time:
            self._look_for_all_at = time.monotonic() + IDLE_EVERY_S
        due, self._put_off = {*self._due(fleet, observed), *self._put_off}, set()
        for view in observed:
            known = before.get(view.id)
            is_same = known is not None and known[0] is view
            is_put_off = view.id in due and not is_time and known is not None and _has_no_writer(known[1])
            if known is not None and is_same and (is_put_off or view.id not in due):
                if is_put_off:
                    self._put_off.add(view.id)
                self._shown[view.id] = known
                continue
            report = bot_report.read_for_mode(fleet.instance_state_dir(view.id), view.mode)
            if known is None or not is_same or known[1].report is not report:
                known = view, view._replace(report=report), NOT_READ
            self._shown[view.id] = known
        return [shown for _observed, shown, _report in self._shown.values()]

    def _with_reports_of_watch(
        self, fleet: Fleet, observed: Sequence[Instance], reports: Mapping[str, KeptReport | None]
    ) -> list[Instance]:
        """Do the same by what `watch` has read within the last second; of one that it does not know yet, the
        report is read.
        """
        if self._folders:  # read here so far: what the kernel has told since is of no use
            self._folders, self._watch = {}, FolderWatch()
        before, shown = self._shown, {}
        for view in observed:
            known, kept_report = before.get(view.id), reports.get(view.id, NOT_READ)
            if kept_report is NOT_READ:
                report = bot_report.read_for_mode(fleet.instance_state_dir(view.id), view.mode)
                known = view, view._replace(report=report), NOT_READ
            elif known is None or known[0] is not view or known[2] is not kept_report:
                report = bot_report.kept_for_mode(kept_report, view.mode)
                known = view, view._replace(report=report), kept_report
            shown[view.id] = known
        self._shown, self._is_all_read = shown, all(known[2] is not NOT_READ for known in shown.values())
        return [shown_view for _observed, shown_view, _report in shown.values()]

    def _due(self, fleet: Fleet, observed: Sequence[Instance]) -> Collection[str]:
        """Return the instances in whose folders something may have been written."""
        if self._folders.keys() != {view.id for view in observed} or fleet is not self._fleet:
            self._fleet = fleet
            self._folders = {view.id: f"{fleet.instance_state_dir(view.id)}" for view in observed}
        return self._watch.due(self._folders)

    def _row(self, view: Instance, usage: Usage | None) -> InstanceStats:
        answer = self._answered.get(view.id)
        known, disk = self._rows.get(view.id), self._sizes.get(view.id)
        if known is not None and known[0] is view and known[1] is answer:
            row = known[2]
            if row.usage is usage and row.disk is disk:
                return row
            row = row._replace(usage=usage, disk=disk)
            self._rows[view.id] = view, answer, row
            return row
        row = with_best_report(view, usage, answer, disk)
        self._rows[view.id] = view, answer, row
        return row

    def _measure(self, views: Sequence[Instance]) -> Mapping[str, Usage]:
        """Return what their containers use; measured again when it is due, or one has come."""
        measured = self._usage_of_watch()
        if measured is self._measured_of[0] and views is self._measured_of[1]:
            return measured
        ids = [view.container.id for view in views if view.container and view.container.is_up]
        if measured.keys() >= set(ids):
            self._measured_of = measured, views
            return measured
        if time.monotonic() >= self._use_at or not self._used.keys() >= set(ids):
            self._used = self._meter.measure(ids)
            self._use_at = time.monotonic() + self._usage_every
        return {container: self._used[container] for container in ids if container in self._used}

    def _chosen(self, snapshot: FleetSnapshot) -> list[Instance]:
        """Return the instances named on the command line, else all. Those removed meanwhile are no error."""
        ids = self._selection.named(snapshot.project)
        if ids is None:
            return list(snapshot.views.values())
        return [snapshot.views[instance] for instance in ids if instance in snapshot.views]

    def require_known(self) -> None:
        """Raise UsageError for an unknown id on the command line."""
        selected(self._selection, self._session.observe())

    def _ask(self, snapshot: FleetSnapshot, views: Sequence[Instance]) -> None:
        """Ask the bots whose turn it is."""
        answers = NO_ANSWERS if self._share is None else self._share.answers
        is_same = views is self._asked_of and answers is self._answers_of_watch
        if is_same and time.monotonic() < self._quiet_until:
            return
        there = self._addresses(snapshot, views)
        now, every = time.monotonic(), ask_every(len(there))
        self._take_copies(there, views, now, every)
        self._take_answers_of_watch(views)
        turn = due(there, self._ask_at, now, self._interval)
        within = REPORTS_WITHIN_S if self._ask_at else reports.TIMEOUT_S
        fetched = reports.fetch_reports({instance: there[instance] for instance in turn}, within)
        for instance in turn:
            self._empty[instance] = self._empty[instance] + 1 if fetched.get(instance) == NO_REPORT else 0
            self._ask_at[instance] = now + (self._every(instance, every) if instance in fetched else RETRY_S)
        self._ask_at = {instance: at for instance, at in self._ask_at.items() if instance in there}
        for instance, report in fetched.items():
            _at, before = self._reports.get(instance, (0.0, None))
            # the very object of before where nothing is new, by which the row stays, too
            self._reports[instance] = now, report if before is None or report != before else before
        ends = {
            instance: at + self._every(instance, every) + REPORT_KEPT_S
            for instance, (at, _report) in self._reports.items()
        }
        self._reports = {
            instance: answer
            for instance, answer in self._reports.items()
            if instance in there and now < ends[instance]
        }
        given = {instance: report for instance, (_at, report) in self._reports.items()}
        if given.keys() != self._answered.keys() or any(
            report is not self._answered[instance] for instance, report in given.items()
        ):
            self._answered = given
        self._asked_of = views
        kept_until = min((ends[instance] for instance in self._reports), default=math.inf)
        is_asked = there.keys() <= self._ask_at.keys()
        self._quiet_until = min(kept_until, *self._ask_at.values(), math.inf) if is_asked else 0.0

    def _addresses(self, snapshot: FleetSnapshot, views: Sequence[Instance]) -> Mapping[str, tuple[str, int]]:
        """Return instance → (host, port) for the bots that are up."""
        before, self._places = self._places, {}
        for view in views:
            known = before.get(view.id)
            if known is None or known[0] is not view:
                known = view, addresses(snapshot, [view]).get(view.id)
            self._places[view.id] = known
        return {instance: place for instance, (_view, place) in self._places.items() if place is not None}

    def _take_answers_of_watch(self, views: Iterable[Instance]) -> None:
        """Take what `watch` has heard of the bots that say nothing: one that says nothing to it either is not
        asked twice, and one that now says something is asked at once.
        """
        answers = NO_ANSWERS if self._share is None else self._share.answers
        if answers is self._answers_of_watch:
            return
        self._answers_of_watch = answers
        for view in views:
            if view.container is None or self._empty[view.id] < EMPTY_AFTER or view.id not in self._reports:
                continue
            (at, before), report = self._reports[view.id], answers.reports.get(view.container.id)
            if report is None or answers.asked_at < at:
                continue
            if report == before:
                self._reports[view.id] = answers.asked_at, before
                self._ask_at[view.id] = answers.asked_at + EMPTY_EVERY_S + OF_WATCH_WITHIN_S
            else:
                self._ask_at[view.id] = answers.asked_at

    def _every(self, instance: str, every: float) -> float:
        """Return how many seconds lie between two answers of this bot."""
        return max(every, EMPTY_EVERY_S) if self._empty[instance] >= EMPTY_AFTER else every

    def _take_copies(
        self, there: Container[str], views: Iterable[Instance], now: float, every: float
    ) -> None:
        """Take a report that a supervisor has just copied for an answer: its bot is not asked as well."""
        present = time.time()
        for view in views:
            kept_report = view.report
            if kept_report is None or kept_report.at is None or view.id not in there:
                continue
            age = present - kept_report.at
            if age < 0 or not _is_of_this_run(kept_report):
                continue
            _at, answer = self._reports.get(view.id, (0.0, None))
            if age < every if answer is None else (answer.at or 0.0) < kept_report.at:
                self._reports[view.id] = now - age, kept_report.report
                self._ask_at[view.id] = now - age + every


def _is_of_this_run(kept_report: KeptReport) -> bool:
    is_over = kept_report.has_ended or kept_report.is_previous
    return not is_over and kept_report.report.contract is not None


def _has_no_writer(view: Instance) -> bool:
    """Return whether nobody writes its report: it has none, and no container."""
    return view.report is None and view.container is None


def due(ids: Iterable[str], ask_at: Mapping[str, float], now: float, interval: float) -> list[str]:
    """Return the bots to ask now: all that were never asked, and so many of the due ones that each gets its
    turn.

    A fleet that was asked all at once in the first observation is then asked in even shares.
    """
    ids = list(ids)
    never = [instance for instance in ids if instance not in ask_at]
    late = sorted(
        (instance for instance in ids if ask_at.get(instance, math.inf) <= now),
        key=lambda instance: ask_at[instance],
    )
    return never + late[: math.ceil((len(ids) - len(never)) * interval / ask_every(len(ids)))]


def ask_every(count: int) -> float:
    """Return how many seconds lie between two answers of a bot, where so many are asked."""
    return max(REPORT_EVERY_S, count / ASKED_A_SECOND)
