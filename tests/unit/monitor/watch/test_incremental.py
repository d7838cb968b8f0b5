"""What is renewed only where something has happened is what it would be if all were made anew: alerts, rows,
answers and metrics, after whatever happens to the bots, in any order.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from manager.engine.client import Engine
from manager.fleet import doing, supervisor_state
from manager.fleet.bot_report import Report
from manager.fleet.selection import EVERYTHING
from manager.fleet.session import Session
from manager.monitor.metrics import families
from manager.monitor.metrics.publisher import Publisher
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.top.source import REPORT_EVERY_S, REPORT_KEPT_S, Source
from manager.monitor.watch import alert_rules
from manager.monitor.watch.concerned import Concerned
from manager.monitor.watch.history import NO_HISTORY
from manager.monitor.watch.observer import FleetObserver
from manager.monitor.watch.shared_look import Shared, SharedLook
from manager.ops.requests.request_budget import Budgets
from manager.web.engine_side import answers
from manager.web.engine_side.feed import QUIET, Feed
from manager.web.engine_side.figures import Figures
from manager.web.engine_side.kept import KeptAnswers
from manager.web.engine_side.observer import PageSnapshot
from tests.builders import write_config
from tests.fakes.bots import BOT_PID, Supervisor
from tests.fakes.containers import KILLED
from tests.fakes.sandbox import BOTH, Sandbox

STEPS = 50
CODES = ("trading", "trading", "paused", "exchange_away", "orders_refused", "stopped_out", None)
WAITS = (0.0, 0.0, 1.0, 3.0, 29.0, 61.0, 170.0, 400.0)


class Happenings:
    """What happens to a fleet of two, by chance."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.sandbox, self.chance = sandbox, random.Random(seed)
        self.kinds: list[Callable[[str], object]] = [
            *(self.reports, self.reports, self.reports_no_more, self.probes, self.is_away, self.says_more),
            *(
                self.is_quiet,
                self.is_quiet,
                self.is_quiet,
                self.fails,
                self.runs,
                self.is_another,
                self.is_killed,
                self.is_stopped,
                self.is_started,
            ),
            *(self.is_edited, self.is_damaged, self.settings, self.state_is_damaged, self.report_is_damaged),
            *(self.clock_is_set, self.engine_goes),
        ]

    def one(self) -> str:
        """Let one happen, and some time pass; return what it was."""
        instance, happens = self.chance.choice(BOTH), self.chance.choice(self.kinds)
        happens(instance)
        waits = self.chance.choice(WAITS)
        self.sandbox.clock.sleep(waits)
        return f"{instance} {happens.__name__}, {waits} s"

    def supervisor(self, instance: str) -> Supervisor | None:
        return self.sandbox.bots.living.get(f"desk-{instance}")

    def _set(self, instance: str, **values: Any) -> None:
        supervisor = self.supervisor(instance)
        if supervisor is None or supervisor.record is None:
            return
        for name, value in values.items():
            setattr(supervisor.record, name, value)
        supervisor.write()

    def is_quiet(self, _instance: str) -> None:
        """Let nothing happen, so that only time passes."""

    def reports(self, instance: str) -> None:
        now, code = self.sandbox.clock.time(), self.chance.choice(CODES)
        pnl, position = (f"{self.chance.randint(-9, 9)}" for _figure in range(2))
        own = {"contract": 2, "at": now - self.chance.choice((0, 5, 40)), "mode": "paper", "pnl": pnl}
        own |= {"quote": "USDC", "position": position, "price": "64", "price_at": now - 1}
        own |= {"condition": {"code": code, "params": {}, "since": now - 60}} if code else {}
        content = {"report": own, "written_at": now, "read_at": now}
        file = self._folder(instance) / supervisor_state.REPORT_FILE
        file.with_suffix(".new").write_text(json.dumps(content))
        file.with_suffix(".new").replace(file)

    def reports_no_more(self, instance: str) -> None:
        (self._folder(instance) / supervisor_state.REPORT_FILE).unlink(missing_ok=True)

    def probes(self, instance: str) -> None:
        self._set(instance, checked_at=self.sandbox.clock.time())

    def says_more(self, instance: str) -> None:
        self._set(instance, detail=self.chance.choice(("200", "503", None)), since_healthy=1)

    def is_away(self, instance: str) -> None:
        if supervisor := self.supervisor(instance):
            supervisor.behaviour.away_for = self.chance.choice((0.0, 1e6))
            supervisor.write()

    def fails(self, instance: str) -> None:
        self._set(instance, state="failed", bot_pid=None, why="exit code 1")

    def runs(self, instance: str) -> None:
        self._set(instance, state="running", bot_pid=BOT_PID, why=None)

    def is_another(self, instance: str) -> None:
        self._set(instance, bot_pid=self.chance.randint(9, 99), total=self.chance.randint(1, 9))

    def is_killed(self, instance: str) -> None:
        if self.supervisor(instance) is not None:
            container = self.sandbox.engine.find(f"desk-{instance}")
            container.program.kill(container)
            container.end(KILLED)

    def is_stopped(self, instance: str) -> None:
        self.sandbox.run(f"stop {instance}")

    def is_started(self, instance: str) -> None:
        self.sandbox.run(f"start {instance}")

    def is_edited(self, instance: str) -> None:
        strategy = {"order_quantity": self.chance.choice((0.1, 0.2, 0.3))}
        self.sandbox.config(instance, 5001 + BOTH.index(instance), strategy_config=strategy)

    def is_damaged(self, instance: str) -> None:
        write_config(self.sandbox.folder, "{", instance)

    def settings(self, _instance: str) -> None:
        file = self.sandbox.folder / "config" / "fleet.toml"
        own, alerts, _rest = file.read_text().partition("[alerts]")
        limits = (self.chance.choice((0, 40, 300)), self.chance.choice((1, 15, 200)))
        file.write_text(
            f"{own}{alerts or '[alerts]'}\nno_tick_after = {limits[0]}\ndown_after = {limits[1]}\n"
        )

    def state_is_damaged(self, instance: str) -> None:
        (self._folder(instance) / supervisor_state.STATE_FILE).write_text("{")

    def report_is_damaged(self, instance: str) -> None:
        (self._folder(instance) / supervisor_state.REPORT_FILE).write_text("{")

    def clock_is_set(self, _instance: str) -> None:
        self.sandbox.clock.set_by += self.chance.choice((-4000.0, -90.0, -2.0, 2.0, 90.0, 4000.0))
        # by then no copy counts as an answer, whose time is shown by the clock that there was
        self.sandbox.clock.sleep(REPORT_EVERY_S + REPORT_KEPT_S + 1)

    def engine_goes(self, _instance: str) -> None:
        self.sandbox.engine.die()
        self.sandbox.engine.come_back()

    def _folder(self, instance: str) -> Any:
        return next(self.sandbox.folder.glob(f"**/state/{instance}"))


class Watched:
    """What `watch` and the page of the same process keep from look to look."""

    def __init__(self, sandbox: Sandbox, share: SharedLook) -> None:
        self.sandbox, self.share = sandbox, share
        self.observer = FleetObserver(Session(sandbox.folder), share)
        self.page = Source(Session(sandbox.folder), EVERYTHING, 3.0, share=share)
        self.concerned, self.kept, self.feed = Concerned(), KeptAnswers(), Feed()
        self.read: dict[str, dict[str, Any]] = {}
        """What a browser has, which applies the changes that it is told of."""
        self.publisher = a_publisher(self.observer)

    def tick(self) -> None:
        """Look as often as it takes: the engine's events come in bursts."""
        for _second in range(4):
            self.observer.wait(0)
            self.see()
            self.sandbox.clock.sleep(1.0)
        self.see()

    def see(self) -> None:
        """Look where that is due, as each second."""
        if self.observer.look_if_due():
            self.publisher.publish(self.observer.fleet, self.observer.snapshot.views, {}, Budgets())

    def conditions(self, now: float) -> list[str]:
        """Tell the alerts of this second, and leave alone those of which none can be."""
        rules = self.observer.fleet.alerts
        views = self.concerned.of(self.observer.snapshot.views, NO_HISTORY, NOTHING, rules, now)
        conditions = alert_rules.of_instances(views, NO_HISTORY, {}, rules, now)
        self.concerned.settle({condition.subject for condition in conditions})
        return sorted(f"{condition}" for condition in conditions)

    def look(self) -> tuple[PageSnapshot, list[dict[str, Any]]]:
        """Look as the page does, and tell a browser what has changed."""
        seen = self.page.look()
        look = PageSnapshot(seen.fleet, seen.rows, at=self.sandbox.clock.time())
        told = self.kept.instances(look, Figures())
        last = self.feed.last_id
        self.feed.put({}, told)
        if not self.read:
            self.read = {answer["id"]: dict(answer) for answer in self.feed.state()[1]}
        for event in self.feed.after(last):
            for instance, changes in event.data["changed"].items():
                self.read.setdefault(instance, {}).update(changes)
        return look, told


NOTHING: dict[str, Any] = {}


def a_publisher(observer: FleetObserver) -> Publisher:
    return Publisher(observer.fleet, lambda _container: {}, lambda _text: None)


def loud(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page shows of them."""
    return {answer["id"]: {key: answer[key] for key in answer if key not in QUIET} for answer in told}


def samples(publisher: Publisher) -> list[str]:
    """Return the metrics, without when they were seen."""
    every = (sample for family in publisher.collect() for sample in family.samples)
    return sorted(
        f"{sample.name} {sample.labels} {sample.value}" for sample in every if "last_look" not in sample.name
    )


def timeless(row: InstanceStats) -> tuple[object, ...]:
    """Return what a row is made of, without the beats of a bot that runs on, and the engine's words for an
    age.
    """
    view, supervisor = row.view, row.view.supervisor
    if supervisor is not None and view.is_bot_up:
        supervisor = supervisor._replace(updated_at=0, updated_uptime=0, health_checked_at=None)
    container = view.container and view.container._replace(status=view.container.health or "")
    return (
        view._replace(supervisor=supervisor, container=container),
        row.report,
        doing.activity(view),
    )


def differences(kept: tuple[Any, ...], fresh: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Return in what two rows, and the instances that they are of, differ."""
    pairs = zip((*kept[0], *kept[1:]), (*fresh[0], *fresh[1:]), strict=True)
    return [(one, other) for one, other in pairs if one != other]


@pytest.fixture(name="watched")
def _watched(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    share = SharedLook()

    def ask(_within: float) -> Shared | None:
        share._asked += 1
        watched.see()
        return share.latest()

    monkeypatch.setattr(share, "ask", ask)
    monkeypatch.setattr("manager.monitor.stats.sampler.Sampler.measure", lambda *_: {})
    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", lambda *_: {})
    monkeypatch.setattr("manager.monitor.disk.usage.read", lambda *_: {})
    assert isinstance(sandbox.engine, Engine)
    sandbox.run("up")
    watched = Watched(sandbox, share)
    yield watched
    watched.observer.close()


@pytest.mark.long_form
@pytest.mark.parametrize("seed", range(1, 12))
def test_what_is_kept_is_what_would_be_made_anew(sandbox: Sandbox, watched: Watched, seed: int) -> None:
    happenings, told_of = Happenings(sandbox, seed), []
    watched.tick()
    for _step in range(STEPS):
        told_of.append(happenings.one())
        watched.tick()
        now = sandbox.clock.time()
        look, told = watched.look()
        anew = Source(Session(sandbox.folder), EVERYTHING, 3.0)
        rows = anew.look().rows
        anew._snapshots.close()
        for kept, fresh in zip(look.rows, rows, strict=True):
            assert differences(timeless(kept), timeless(fresh)) == [], told_of
            # What has just been copied is taken for an answer for a while, which another reader has not had.
            is_answer = kept.as_of is None and now - (fresh.as_of or now) <= REPORT_EVERY_S + REPORT_KEPT_S
            assert kept.as_of == fresh.as_of or is_answer, told_of
        assert loud(told) == loud(answers.instances(look, Figures())), told_of
        assert loud([*watched.read.values()]) == loud(told), told_of
        watched.observer._next_look = 0.0
        watched.see()
        views, rules = watched.observer.snapshot.views, watched.observer.fleet.alerts
        for row in rows:
            assert views[row.id].report == row.view.report, told_of
        for _second in range(2):
            conditions = alert_rules.of_instances(views, NO_HISTORY, {}, rules, now)
            assert watched.conditions(now) == sorted(f"{one}" for one in conditions), told_of
        publisher = a_publisher(watched.observer)
        publisher.publish(watched.observer.fleet, views, {}, Budgets())
        publisher._look = publisher._look._replace(at=watched.publisher._look.at)
        assert samples(watched.publisher) == samples(publisher), told_of
    assert families.families(watched.publisher._look)


def test_a_bot_is_asked_again_when_it_is_its_turn_although_nothing_is_new(
    sandbox: Sandbox, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(places: dict[str, object], _within: float) -> dict[str, Report]:
        asked.extend(places)
        return dict.fromkeys(places, Report(pnl=Decimal(1)))

    monkeypatch.setattr("manager.monitor.stats.reports.fetch_reports", fetch)
    watched.tick()
    rounds = []
    for _look in range(12):
        watched.see()
        watched.page.look()
        rounds.append(len(asked))
        sandbox.clock.sleep(3.0)
    assert rounds[0] == 2
    assert rounds[-1] >= 6, "each every ten seconds"
    assert len(set(rounds)) < len(rounds), "and not in each look"
