"""What bots say of their own trading (reports.py), and whether they still log: asked in the background, now and then."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.engine import labels
from manager.fleet.bot_report import Report
from manager.fleet.instance import Instance
from manager.monitor.stats import reports
from manager.monitor.watch.alert_rules import Progress
from manager.util import formatting

ASK_EVERY_S = 60.0
"""One answer costs a bot some milliseconds."""
ASK_WITHIN_S = 2.0
AT_ONCE = 8
"""Nobody waits for the answers, and they must not make the bots compete."""
MUTE_AFTER = 3
MUTE_ROUNDS = 60
"""A bot that has never said anything has no such page: it is asked once an hour, so that its log is not full of requests for it."""


class _Trades(NamedTuple):
    number: int
    since: float


class BotPoller:
    """Remembers which bots say nothing, and when each one's trade count last changed."""

    def __init__(self) -> None:
        self.is_over = False
        self.latest: Mapping[str, Report] = {}
        """What the bots that answered have said last."""
        self._silences: Counter[str] = Counter()
        self._talkers: set[str] = set()
        self._trades: dict[str, _Trades] = {}

    def ask(self, views: Iterable[Instance], fleet: Fleet, *, logs: bool) -> dict[str, Progress]:
        """Asks all bots that run, a few at a time; a few that hang cost two seconds."""
        running = [view for view in views if view.verdict.is_running and view.container and view.web_port]
        said = self.latest = self._said(running, fleet)
        now = time.time()
        return {
            view.id: self._progress(view, said.get(view.id, Report()), fleet, now, logs=logs)
            for view in running
        }

    def _said(self, running: Iterable[Instance], fleet: Fleet) -> dict[str, Report]:
        found: dict[str, Report] = {}
        asked = {view.id: view for view in running if self._is_worth_asking(_key(view))}
        for ids in _groups(list(asked), AT_ONCE):
            if self.is_over:
                break
            found |= reports.fetch_reports(
                {each: (fleet.web_host, asked[each].web_port or 0) for each in ids}, ASK_WITHIN_S
            )
        self._talkers |= {_key(asked[each]) for each in found}
        return found

    def _is_worth_asking(self, key: str) -> bool:
        """One that has talked is asked for ever: that it falls silent is worth knowing."""
        if key in self._talkers:
            return True
        self._silences[key] += 1
        return self._silences[key] <= MUTE_AFTER or self._silences[key] % MUTE_ROUNDS == 0

    def _progress(self, view: Instance, said: Report, fleet: Fleet, now: float, *, logs: bool) -> Progress:
        return Progress(
            tick_age=said.tick_age,
            trade_age=self._trade_age(view.id, said.trades, now),
            log_age=_log_age(view, fleet, now) if logs else None,
            is_paused=said.is_paused,
            pnl=said.pnl,
            quote=said.quote or "",
            market=said.market,
        )

    def _trade_age(self, instance: str, count: int | None, now: float) -> float | None:
        if count is None:
            self._trades.pop(instance, None)
            return None
        before = self._trades.get(instance)
        if before is None or before.number != count:
            before = self._trades[instance] = _Trades(count, now)
        return now - before.since


def _key(view: Instance) -> str:
    """A container may be made anew with a bot that has more to say."""
    assert view.container is not None
    return view.container.id


def _groups(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _log_age(view: Instance, fleet: Fleet, now: float) -> float | None:
    """Seconds since the bot last wrote a line: the youngest dated file of today or yesterday. None where it cannot be seen."""
    assert view.container is not None
    folder = fleet.data_dir / view.container.labels.get(labels.LOG_DIR, f"logs/{view.id}")
    youngest = None
    for day in (now, now - 86400):
        for name in ("bot_stdout.log", "bot_stderr.log"):
            path = Path(folder, formatting.day(day), name)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and (youngest is None or found.st_mtime > youngest):
                youngest = found.st_mtime
    return None if youngest is None else now - youngest


class Questions:
    """Asks in the background, every minute; `answers` are the latest."""

    def __init__(self) -> None:
        self.answers: Mapping[str, Progress] = {}
        self.have_answers = False
        self._asker = BotPoller()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="questions")
        self._asked: Future[dict[str, Progress]] | None = None
        self._next = 0.0

    def ask_if_due(self, views: Mapping[str, Instance], fleet: Fleet) -> None:
        """Takes up what has been answered, and asks again when it is time. Never waits."""
        if self._asked is not None and self._asked.done():
            self.answers, self._asked, self.have_answers = self._asked.result(), None, True
        if self._asked is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + ASK_EVERY_S
            logs = bool(fleet.alerts.no_log_after)
            self._asked = self._pool.submit(self._asker.ask, list(views.values()), fleet, logs=logs)

    @property
    def reports(self) -> Mapping[str, Report]:
        """What the bots that answered have said last."""
        return self._asker.latest

    def close(self) -> None:
        """Asks no more."""
        self._asker.is_over = True
        self._pool.shutdown(wait=False, cancel_futures=True)
