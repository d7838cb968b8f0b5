"""A clock that is set, forward or back: nothing is told that is not so, and what is so is not forgotten."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from manager.fleet import snoozes
from manager.fleet.bot_report import Report
from manager.fleet.snoozes import Snooze
from manager.i18n import Text
from manager.monitor.stats import reports
from manager.monitor.watch import alert_rules, daily_report
from manager.monitor.watch.alert_rules import Condition
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.bot_poller import BotPoller
from manager.monitor.watch.clock_jumps import ClockJumps
from manager.monitor.watch.history import History, Past
from manager.monitor.watch.notifier import Notifier
from manager.util import formatting
from tests.builders import a_fleet
from tests.fakes.clock import Clock
from tests.unit.monitor.watch.test_alert_rules import EXIT, NOW, RULES, a_view

ID = "bp_sol_01"
HOUR, DAY = 3600.0, 86400.0
EITHER_WAY = pytest.mark.parametrize("jump", [HOUR, -HOUR, 90 * 86400.0])
TWICE = {"in_a_row": 2, "total": 2, "max": 3, "next_at": None}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


class Watched:
    """A notifier that notices how the clock is set, as `watch` does at each tick."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock, self.fleet = clock, a_fleet(data_dir=folder)
        self.jumps, self.notifier = ClockJumps(), Notifier(self.fleet, clock.time())
        self.told: list[Alert] = []
        self.notifier.add = lambda alert, now: self.told.append(alert)  # type: ignore[method-assign]

    def tick(self, *conditions: Condition, well: Sequence[str] = ()) -> list[str]:
        """Return what is told now."""
        now = self.clock.time()
        if jump := self.jumps.since_last():
            self.notifier.clock_was_set(jump, now)
        self.notifier.note(
            conditions, RULES, now, well=well, away=(), are_unknown=False, unsettled=frozenset()
        )
        told, self.told[:] = [str(alert.text) for alert in self.told], []
        return told


@pytest.fixture
def watched(tmp_path: Path, clock: Clock) -> Watched:
    return Watched(tmp_path, clock)


@EITHER_WAY
def test_what_began_a_moment_ago_is_told_when_it_has_lasted(watched: Watched, jump: float) -> None:
    ill = Condition(ID, "unhealthy", Text("ill"), after=60)
    assert watched.tick(ill) == []
    watched.clock.sleep(50)
    watched.clock.set_by = jump
    assert watched.tick(ill) == []
    watched.clock.sleep(9)
    assert watched.tick(ill) == []
    watched.clock.sleep(2)
    assert watched.tick(ill) == ["ill"]


@EITHER_WAY
def test_what_was_told_is_neither_told_again_nor_over(watched: Watched, jump: float) -> None:
    ill = Condition(ID, "unhealthy", Text("ill"))
    assert watched.tick(ill) == ["ill"]
    watched.clock.sleep(RULES.remind_after - 10)
    assert watched.tick(ill) == []
    watched.clock.set_by = jump
    assert watched.tick(ill) == []
    watched.clock.sleep(11)
    [reminder] = watched.tick(ill)
    assert "90d" not in reminder
    watched.clock.sleep(1)
    assert watched.tick(well=[ID]) == []
    watched.clock.set_by += jump
    assert watched.tick(well=[ID]) == [], "it is well for a moment only"
    watched.clock.sleep(RULES.recovered_after)
    assert len(watched.tick(well=[ID])) == 1


def test_what_a_person_has_left_stays_left(watched: Watched) -> None:
    ill = Condition(ID, "unhealthy", Text("ill"))
    watched.tick(ill)
    now = watched.clock.time()
    left = Snooze(now, now + 20 * 86400, "unhealthy", "", {"unhealthy": now})
    watched.fleet.state_dir.mkdir(parents=True)
    snoozes.save(watched.fleet.snooze_file, {ID: left})
    watched.clock.sleep(RULES.remind_after + 1)
    assert watched.tick(ill) == []
    for jump in (HOUR, -HOUR):
        watched.clock.set_by = jump
        assert watched.tick(ill) == []


@EITHER_WAY
def test_a_crash_loop_stays_one_and_none_becomes_one(watched: Watched, jump: float) -> None:
    view = a_view("restarting", why="exit code 1", last_exit=EXIT, restarts=TWICE)

    def crashes(*ages: float) -> bool:
        watched.clock.set_by = 0.0
        watched.jumps = ClockJumps()
        watched.notifier.history = History({ID: Past(2, tuple(watched.clock.time() - age for age in ages))})
        watched.clock.set_by = jump
        watched.tick()
        conditions = alert_rules.of_instances(
            {ID: view}, watched.notifier.history, {}, RULES, watched.clock.time()
        )
        return any(condition.kind == "restarting" for condition in conditions)

    assert crashes(800, 10)
    assert not crashes(HOUR - 10, HOUR - 5, HOUR + 10)


def test_a_restart_that_is_ahead_of_the_clock_is_not_of_the_last_minutes() -> None:
    """It was kept by a `watch` that ran before the clock was set back."""
    view = a_view("restarting", why="exit code 1", last_exit=EXIT, restarts=TWICE)
    ahead = History({ID: Past(2, (NOW + 10, NOW + 20))})
    assert not alert_rules.of_instances({ID: view}, ahead, {}, RULES, NOW)


def test_a_clock_that_is_slewed_was_not_set(clock: Clock) -> None:
    jumps = ClockJumps()
    for _ in range(100):
        clock.sleep(1)
        clock.set_by += 0.5
        assert jumps.since_last() == 0.0


@EITHER_WAY
def test_a_bot_that_trades_and_logs_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, jump: float
) -> None:
    view, poller, fleet = a_view(), BotPoller(), a_fleet(data_dir=tmp_path)
    report = Report(trades=7)
    monkeypatch.setattr(reports, "fetch_reports", lambda *_: {ID: report})

    def logs() -> None:
        folder = tmp_path / "logs" / ID / formatting.day(clock.time())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bot_stdout.log").write_text("a line\n")
        os.utime(folder / "bot_stdout.log", (clock.time(), clock.time()))

    def ages() -> tuple[float | None, float | None]:
        progress = poller.ask([view], fleet, logs=True)[ID]
        return progress.trade_age, progress.log_age

    logs()
    assert ages() == (0, 0)
    clock.sleep(60)
    before = clock.set_by
    if formatting.day(clock.time() + jump) != formatting.day(clock.time()):
        jump = 86400.0  # the day's file is found under the days around the present one
    clock.set_by = before + jump
    assert ages() == (60, 60)
    clock.sleep(60)
    assert ages() == (120, 120)
    logs()
    clock.sleep(5)
    assert ages() == (125, 5)


def test_a_daily_report_is_not_sent_again_after_the_clock_was_set_back_over_midnight() -> None:
    assert daily_report.is_due("00:05", datetime(2026, 12, 1, 0, 10), "2026-11-30")
    assert not daily_report.is_due("00:05", datetime(2026, 11, 30, 23, 30), "2026-12-01")
    assert daily_report.is_due("00:05", datetime(2026, 11, 30, 23, 30), "2026-12-24")


def reports_of(watched: Watched, monkeypatch: pytest.MonkeyPatch, notifier: Notifier) -> bool:
    """Return whether the daily report is sent now."""
    if jump := watched.jumps.since_last():
        notifier.clock_was_set(jump, watched.clock.time())
    with monkeypatch.context() as patch:
        sent: list[object] = []
        patch.setattr(notifier._deliverer, "put", lambda *message: sent.append(message))
        rules = RULES._replace(digest_at="08:00")
        notifier.report({}, {}, None, [], rules, watched.clock.time())
        return bool(sent)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_was_a_day_ahead_costs_no_daily_report(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, *, is_restarted: bool
) -> None:
    clock, notifier = watched.clock, watched.notifier
    clock.set_by = datetime(2026, 11, 30, 9, 0).timestamp() - clock.time()
    notifier.clock_was_set(watched.jumps.since_last(), clock.time())
    sent = [reports_of(watched, monkeypatch, notifier)]
    clock.set_by += DAY
    sent.append(reports_of(watched, monkeypatch, notifier))
    clock.set_by -= DAY
    if is_restarted:
        watched.fleet.state_dir.mkdir(parents=True)
        notifier.save(at_once=True)
        watched.jumps, notifier = ClockJumps(), Notifier(watched.fleet, clock.time())
    sent.append(reports_of(watched, monkeypatch, notifier))
    clock.sleep(DAY)
    sent.append(reports_of(watched, monkeypatch, notifier))
    assert sent == [True, True, False, True]
