"""Alerts are the same, and of the same second, as if all instances were looked at each second, whatever
happens to the fleet, to its settings, to the engine and to the clock, in any order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from manager.config.fleet import Alerts
from manager.engine import labels
from manager.fleet import status, supervisor_state
from manager.fleet.bot_report import KeptReport, parse_report
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.monitor.watch import alert_rules, alert_state
from manager.monitor.watch.alert_rules import Condition, Progress
from manager.monitor.watch.alert_state import Alert, Key, Open
from manager.monitor.watch.concerned import Concerned
from manager.monitor.watch.history import NO_HISTORY
from tests.builders import UPTIME, a_container, a_spec, a_supervisor_file

BEGAN = 1_764_500_100.0
MODES = {"bp_eth_01": "paper", "bp_eth_02": "live", "bp_sol_01": "live", "bp_sol_02": "paper"}
INSTANCES = tuple(MODES)
SECONDS = 400
LOOK_EVERY = 30
STATES = ("running", "running", "running", "unhealthy", "restarting", "failed", "completed", "starting")
CODES = (
    *("trading", "trading", "paused", "exchange_away", "orders_refused", "out_of_range", "stopped_out"),
    "ledger_differs",
)
QUICK = Alerts(
    down_after=5,
    unhealthy_after=9,
    exchange_away_after=7,
    out_of_range_after=6,
    recovered_after=4,
    remind_after=60,
)


class World:
    """A fleet to which something happens now and then."""

    def __init__(self, seed: int) -> None:
        self.chance, self.now = random.Random(seed), BEGAN
        self.rules, self.history, self.is_away = QUICK, NO_HISTORY, False
        self.answers: Mapping[str, Progress] = {}
        self.views: Mapping[str, Instance] = {}
        self.unsettled: frozenset[str] = frozenset()
        self.kinds: list[Callable[[str], object]] = [
            *(self.is_seen, self.reports, self.reports, self.reports, self.reports, self.reports),
            *(self.is_late, self.is_late, self.is_late, self.clock_is_set, self.clock_is_set),
            *(self.ends, self.is_stopped, self.is_halted, self.is_removed, self.restarts),
            *(self.exceeds_memory, self.answer, self.settings, self.clock_is_set),
            *(self.is_degraded, self.writes_too_much),
            *(self.engine_goes, self.is_at_work, self.look),
        ]
        for instance in INSTANCES:
            self.is_seen(instance)
            self.reports(instance)
        self.look("")

    def second(self) -> str:
        """Let a second pass, and maybe something happen; return what."""
        self.now += 1.0
        if self.chance.random() < 0.15:
            happens, instance = self.chance.choice(self.kinds), self.chance.choice(INSTANCES)
            self.is_away = False
            happens(instance)
            return f"{self.now - BEGAN:.0f}: {instance} {happens.__name__}"
        if round(self.now) % LOOK_EVERY == 0:
            self.look("")
        return ""

    def look(self, _instance: str) -> None:
        """Observe anew: the history is another one, and what nothing has happened to is the same."""
        self.views = dict(self.views)
        self.history = self.history.after(self.views.values(), self.now)

    def _see(self, view: Instance) -> None:
        self.views = {**self.views, view.id: view}
        self.look(view.id)

    def is_seen(self, instance: str, **changes: Any) -> None:
        self._in_state(instance, "running", **changes)

    def ends(self, instance: str) -> None:
        self._in_state(instance, self.chance.choice(STATES), why="exit code 1")

    def _in_state(self, instance: str, state: str, **changes: Any) -> None:
        before = self.views.get(instance)
        container = a_container(instance, labels={labels.MODE: MODES[instance]})
        word = supervisor_state._decoded(a_supervisor_file(state, container=container.id, **changes))
        seen = status.derive_status(container, word, configured=True, uptime=UPTIME)
        report = before.report if before is not None else None
        known = InstanceState(registered_at="2025-11-30T19:00:00")
        self._see(Instance(instance, seen, (), a_spec(), container, word, known, report=report))

    def reports(self, instance: str, ago: float = 0.0) -> None:
        if (view := self.views.get(instance)) is None or view.supervisor is None:
            self.is_seen(instance)
            view = self.views[instance]
        condition = {"code": self.chance.choice(CODES), "params": {}, "since": self.now - 60}
        raw = {"contract": 2, "at": self.now - ago, "mode": view.mode, "condition": condition}
        self._see(view._replace(report=KeptReport(parse_report(raw), self.now - ago)))

    def is_late(self, instance: str) -> None:
        """Have a last report that is about to be, or has just become, too old."""
        self.reports(instance, self.chance.choice((170.0, 175.0, 179.0, 180.0, 181.0, 600.0, -50.0)))

    def is_stopped(self, instance: str) -> None:
        self._down(instance, InstanceState(registered_at="x", wish=self.chance.choice(("stopped", "run"))))

    def is_halted(self, instance: str) -> None:
        self._down(instance, InstanceState(registered_at="x", halted=self.chance.choice(("ran", None))))

    def _down(self, instance: str, saved: Any) -> None:
        container = a_container(instance, "exited", labels={labels.MODE: MODES[instance]})
        seen = status.derive_status(container, None, configured=True, uptime=UPTIME)
        self._see(Instance(instance, seen, (), a_spec(), container, None, saved))

    def is_removed(self, instance: str) -> None:
        self.views = {known: view for known, view in self.views.items() if known != instance}
        self.look("")

    def restarts(self, instance: str) -> None:
        total = self.chance.randint(1, 9)
        counts = {"in_a_row": 1, "total": total, "max": 3, "next_at": None, "since_healthy": total}
        self.is_seen(instance, restarts=counts)

    def exceeds_memory(self, instance: str) -> None:
        at = self.now + self.chance.choice((-3590.0, -5.0, 3650.0))
        last = {"code": None, "signal": "SIGKILL", "oom": True, "killed": False, "at": at, "why": "killed"}
        self.is_seen(instance, last_exit={**last, "stderr_tail": []})

    def is_degraded(self, instance: str) -> None:
        """Have its supervisor be told by the bot what it cannot do, beside what its report says."""
        condition = {"code": self.chance.choice(CODES), "params": {}, "since": self.now}
        health = {"ok": True, "checked_at": self.now, "failures": 0, "detail": "200"}
        self.is_seen(instance, health={**health, "condition": condition})

    def writes_too_much(self, instance: str) -> None:
        self.is_seen(instance, logs_over_limit={"stdout": self.chance.choice((0, 9)), "stderr": 0})

    def answer(self, _instance: str) -> None:
        ages = (None, 10.0, 400.0)
        self.answers = {one: Progress(tick_age=self.chance.choice(ages)) for one in INSTANCES}

    def settings(self, _instance: str) -> None:
        self.rules = QUICK._replace(
            down_after=self.chance.choice((1, 5, 20)),
            no_tick_after=self.chance.choice((0, 60)),
            exchange_away_after=self.chance.choice((0, 7)),
            out_of_range_after=self.chance.choice((0, 6)),
            crash_loop_restarts=self.chance.choice((1, 2, 5)),
            crash_loop_window=self.chance.choice((20, 900)),
        )

    def clock_is_set(self, _instance: str) -> None:
        self.now += self.chance.choice((-4000.0, -400.0, -90.0, -5.0, 5.0, 90.0, 4000.0))

    def engine_goes(self, _instance: str) -> None:
        self.is_away = True

    def is_at_work(self, instance: str) -> None:
        self.unsettled = frozenset({instance}) if self.chance.random() < 0.5 else frozenset()


class Watching:
    """What is told by one way of looking. `concerned`: leaves alone those of which nothing is to be found."""

    def __init__(self, concerned: Concerned | None = None) -> None:
        self.concerned, self.looked_at = concerned, 0
        self.book: Mapping[Key, Open] = {}
        self.well: frozenset[str] = frozenset()

    def second(self, world: World) -> list[Alert]:
        conditions = [] if world.is_away else self._conditions(world)
        concerned = self._views(world)
        calm: frozenset[str] = self.concerned.calm if self.concerned is not None else frozenset()
        self.well = alert_rules.well(concerned.values(), world.now) | calm
        self.book, alerts = alert_state.advance(
            self.book,
            conditions,
            world.rules,
            world.now,
            well=self.well,
            away=alert_rules.away(world.views, {subject for subject, _kind in self.book if subject}),
            are_unknown=world.is_away,
            unsettled=world.unsettled,
            cancelled=alert_rules.cancelled(concerned.values()),
        )
        return alerts

    def _conditions(self, world: World) -> list[Condition]:
        views = self._views(world)
        self.looked_at += len(views)
        conditions = alert_rules.of_instances(views, world.history, world.answers, world.rules, world.now)
        if self.concerned is not None:
            self.concerned.settle({condition.subject for condition in conditions})
        return conditions

    def _views(self, world: World) -> Mapping[str, Instance]:
        if self.concerned is None:
            return world.views
        return self.concerned.of(world.views, world.history, world.answers, world.rules, world.now)


@pytest.mark.parametrize("seed", range(8))
def test_each_alert_is_of_the_second_in_which_all_would_be_looked_at(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(seed)
    monkeypatch.setattr(time, "time", lambda: world.now)
    all_of_them, those_due = Watching(), Watching(Concerned())
    happened, kinds = [], set()
    for _second in range(SECONDS):
        happened.append(world.second())
        expected = all_of_them.second(world)
        assert those_due.second(world) == expected, [*filter(None, happened)]
        assert those_due.book == all_of_them.book, [*filter(None, happened)]
        assert those_due.well == all_of_them.well, [*filter(None, happened)]
        kinds |= {alert.kind for alert in expected}
    assert len(kinds) >= 5, kinds
    assert those_due.looked_at < 0.9 * all_of_them.looked_at
