"""Poll in the background what bots report of their trading (reports.py), and whether they still log."""

from __future__ import annotations

import math
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.fleet.bot_report import Report, for_mode
from manager.fleet.instance import Instance
from manager.monitor.stats import reports
from manager.monitor.watch.alert_rules import Progress
from manager.monitor.watch.shared_look import NO_ANSWERS, Answers
from manager.typed import NamedTuple
from manager.util import formatting

ASK_EVERY_S = 60.0
"""One answer costs a bot some milliseconds."""
ASK_WITHIN_S = 2.0
AT_ONCE = 8
"""Answers are not urgent, and must not make the bots compete for the CPU."""
MUTE_AFTER = 3
MUTE_ROUNDS = 60
"""A bot that never answered has no such page: it is asked once an hour, to keep its log readable."""


class _Trades(NamedTuple):
    """Hold a count, and since when it is so, by the time since boot: the clock may be set."""

    number: int
    since: float


class _Logged(NamedTuple):
    """Hold the time of a log file, and when that was looked at and since when it is so, since boot."""

    written_at: float
    asked_at: float
    since: float


class BotPoller:
    """Poll bots, tracking which never answer, and when each one's trade count last changed."""

    def __init__(self) -> None:
        self.is_over = False
        self.latest: Mapping[str, Report] = {}
        """Return what each bot that answered has reported last."""
        self.by_container: Mapping[str, Report] = {}
        self._silences: Counter[str] = Counter()
        self._talkers: set[str] = set()
        self._trades: dict[str, _Trades] = {}
        self._logs: dict[str, _Logged] = {}

    def ask(self, views: Iterable[Instance], fleet: Fleet, *, logs: bool) -> dict[str, Progress]:
        """Ask all running bots, a few at a time; a group with bots that hang takes two seconds."""
        running = [view for view in views if view.status.is_running and view.container and view.web_port]
        fetched = self.latest = self._fetch(running, fleet)
        now = time.time()
        return {
            view.id: self._progress(view, fetched.get(view.id, Report()), fleet, now, logs=logs)
            for view in running
        }

    def _fetch(self, running: Iterable[Instance], fleet: Fleet) -> dict[str, Report]:
        fetched: dict[str, Report] = {}
        asked = {view.id: view for view in running if self._is_worth_asking(_key(view))}
        for ids in _groups(list(asked), AT_ONCE):
            if self.is_over:
                break
            fetched |= reports.fetch_reports(
                {instance: (fleet.web_host, asked[instance].web_port or 0) for instance in ids}, ASK_WITHIN_S
            )
        self.by_container = {_key(asked[instance]): report for instance, report in fetched.items()}
        self._talkers |= self.by_container.keys()
        return fetched

    def _is_worth_asking(self, key: str) -> bool:
        """Return whether to ask.

        A bot that has answered once is always asked, because its silence matters.
        """
        if key in self._talkers:
            return True
        self._silences[key] += 1
        return self._silences[key] <= MUTE_AFTER or self._silences[key] % MUTE_ROUNDS == 0

    def _progress(self, view: Instance, report: Report, fleet: Fleet, now: float, *, logs: bool) -> Progress:
        report = for_mode(report, view.mode)
        return Progress(
            tick_age=report.tick_age,
            trade_age=self._trade_age(view.id, report.trades),
            log_age=self._log_age(view, fleet, now) if logs else None,
            is_paused=report.is_paused,
            pnl=report.pnl,
            quote=report.quote or "",
            market=report.market,
        )

    def _trade_age(self, instance: str, count: int | None) -> float | None:
        now = time.monotonic()
        if count is None:
            self._trades.pop(instance, None)
            return None
        before = self._trades.get(instance)
        if before is None or before.number != count:
            before = self._trades[instance] = _Trades(count, now)
        return now - before.since

    def _log_age(self, view: Instance, fleet: Fleet, now: float) -> float | None:
        """Return seconds since the bot last logged; None if that cannot be read.

        The clock may be set: only of what it has logged since it was last asked does the file's time tell.
        """
        written_at, at = _logged_at(view, fleet, now), time.monotonic()
        if written_at is None:
            self._logs.pop(view.id, None)
            return None
        before = self._logs.get(view.id)
        if before is None or before.written_at != written_at:
            most = math.inf if before is None else at - before.asked_at
            before = _Logged(written_at, at, at - min(max(0.0, now - written_at), most))
        self._logs[view.id] = before._replace(asked_at=at)
        return at - before.since


def _key(view: Instance) -> str:
    """Return the container's id: a new container may have a bot that reports more."""
    assert view.container is not None
    return view.container.id


def _groups(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _logged_at(view: Instance, fleet: Fleet, now: float) -> float | None:
    """Return when the bot last logged: today's or yesterday's newest file, by whatever time zone.

    None if it cannot be read.
    """
    assert view.container is not None
    folder = fleet.data_dir / view.container.labels.get(labels.LOG_DIR, f"logs/{view.id}")
    youngest = None
    for day in (now + 86400, now, now - 86400):
        for name in ("bot_stdout.log", "bot_stderr.log"):
            path = Path(folder, formatting.day(day), name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and (youngest is None or status.st_mtime > youngest):
                youngest = status.st_mtime
    return youngest


class Questions:
    """Poll in the background, every minute; `answers` are the latest."""

    def __init__(self) -> None:
        self.answers: Mapping[str, Progress] = {}
        self.answered_at = 0.0
        self.have_answers = False
        self.to_share = NO_ANSWERS
        self._poller = BotPoller()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="questions")
        self._asked: Future[dict[str, Progress]] | None = None
        self._next = 0.0

    def ask_if_due(self, views: Mapping[str, Instance], fleet: Fleet) -> None:
        """Take over new answers, and ask again when it is time. Never waits."""
        if self._asked is not None and self._asked.done():
            self.answers, self._asked, self.have_answers = self._asked.result(), None, True
            self.answered_at = time.time()
            self.to_share = Answers(self._next - ASK_EVERY_S, self._poller.by_container)
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + ASK_EVERY_S
            logs = bool(fleet.alerts.no_log_after)
            self._asked = self._pool.submit(self._poller.ask, list(views.values()), fleet, logs=logs)

    @property
    def reports(self) -> Mapping[str, Report]:
        """Return what each bot that answered has reported last."""
        return self._poller.latest

    def close(self) -> None:
        """Stop polling."""
        self._poller.is_over = True
        self._pool.shutdown(wait=False, cancel_futures=True)
