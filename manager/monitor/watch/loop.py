"""The resident itself: waits, looks, decides (by the pure modules), acts. One thread; questions and messages have their own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from manager.errors import ManagerError
from manager.fleet import halt_mark, supervisor_state
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.monitor.history.recorder import Recorder
from manager.monitor.watch import addresses, alert_rules, change_detector
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_rules import MACHINE, Condition, Disk
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.bot_poller import Questions
from manager.monitor.watch.heartbeat import Heartbeat
from manager.monitor.watch.notifier import Notifier
from manager.monitor.watch.observer import FleetObserver
from manager.ops import apply, changes
from manager.ops.events import OnEvent
from manager.ops.result import Result
from manager.util import console

TICK_S = 1.0
"""Between two looks at the state files, which say what happens inside containers: most crashes show no engine event."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DISK_S = 30.0
PUT_BACK_AGAIN_S = 5.0


class Watch:
    """One run of `manager watch`. `on_event`, `on_result`: told of what is done to start bots again."""

    def __init__(self, session: Session, on_event: OnEvent, on_result: Callable[[Result], object]) -> None:
        self._session, self._on_event, self._on_result = session, on_event, on_result
        self._sight = FleetObserver(session)
        self._sight.look()
        self._sight.snapshot.require_ours()
        halt_mark.keep_fleet_ready(self._sight.fleet)
        self._newsroom = Notifier(self._sight.fleet, time.time())
        self._newsroom.look(self._sight.snapshot.views, time.time())
        self._questions = Questions()
        self._recorder = Recorder(self._sight.fleet, console.warning)
        self._heartbeat = Heartbeat(console.warning)
        self._disk: Disk | None = None
        self._next_disk = self._next_put_back = 0.0
        self._is_ending = False

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C. What is being started meanwhile is started; nothing more is."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._end)
        self._greet()
        try:
            while not self._is_ending:
                self._tick(time.time())
                self._sight.wait(TICK_S)
        except KeyboardInterrupt:
            pass
        finally:
            for number in ENDING_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._sight.close()
            self._questions.close()
            self._recorder.close()
            self._heartbeat.close()
            self._newsroom.close(self._addresses())

    def _end(self, *_: object) -> None:
        """Remembered as well as raised: who carries out a plan finishes it, and takes the interruption for its own."""
        self._is_ending = True
        raise KeyboardInterrupt

    def _greet(self) -> None:
        fleet, count = self._sight.fleet, len(self._sight.snapshot.views)
        console.say(Text("watching {count} instances of {fleet}", count=count, fleet=fleet.name))
        if not fleet.alerts.urls:
            console.say(
                _("config/fleet.toml names no alerts.urls: alerts are printed here, and sent nowhere")
            )
        for each in self._addresses():
            if not each.url:
                console.warning(Text("{name} is not set; write it into .env", name=each.reference))

    def _tick(self, now: float) -> None:
        sight, newsroom = self._sight, self._newsroom
        if sight.look_if_due():
            newsroom.look(sight.snapshot.views, now)
            self._recorder.record(sight.snapshot.views, self._questions.reports, now)
        self._recorder.go_on()
        if not sight.why_away:
            self._put_back()
        if time.monotonic() >= self._next_disk:
            self._disk, self._next_disk = (
                change_detector.disk(sight.fleet.data_dir),
                time.monotonic() + DISK_S,
            )
        views, rules = sight.snapshot.views, sight.fleet.alerts
        if not sight.why_away:
            self._questions.ask_if_due(views, sight.fleet)
        newsroom.note(
            self._faults(now),
            rules,
            now,
            well=alert_rules.well(views.values()),
            away=alert_rules.away(views, newsroom.subjects()),
            are_unknown=bool(sight.why_away),
            is_unsettled=sight.is_unsettled(),
        )
        self._heartbeat.beat_if_due(self._heartbeat_address())
        newsroom.flush(self._addresses(), rules)
        if self._questions.have_answers or sight.why_away:
            newsroom.report(views, self._questions.answers, self._disk, self._addresses(), rules, now)
        newsroom.save()

    def _faults(self, now: float) -> list[Condition]:
        sight, rules = self._sight, self._sight.fleet.alerts
        is_low = self._newsroom.has_open("disk") or self._newsroom.has_open("inodes")
        found = alert_rules.of_disk(self._disk, rules, is_low=is_low)
        if sight.why_away:
            return [*found, alert_rules.of_engine(sight.why_away, rules)]
        views, history = sight.snapshot.views, self._newsroom.history
        reported = {
            each.id: supervisor_state.open_orders_left(sight.fleet.instance_state_dir(each.id))
            for each in views.values()
            if each.mode == "live" and not each.is_bot_up
        }
        return found + alert_rules.of_instances(views, history, self._questions.answers, rules, now, reported)

    def _put_back(self) -> None:
        """Starts again what the engine's death left down (engine_recovery.py), under the fleet's lock, and says so."""
        fallen = self._sight.still_fallen()
        if not fallen or time.monotonic() < self._next_put_back:
            return
        names = ", ".join(fallen)
        console.say(Text("the engine died and came back without {ids}: starting them again", ids=names))
        try:
            self._recover(fallen)
        except ManagerError as error:
            console.error(error)
        self._next_put_back = time.monotonic() + PUT_BACK_AGAIN_S
        self._sight.look()
        still = self._sight.still_fallen()
        if back := [each for each in fallen if each not in still]:
            text = Text("the engine died and came back; started again: {ids}", ids=", ".join(back))
            self._newsroom.add(Alert(MACHINE, "engine", "news", text), time.time())

    def _recover(self, fallen: list[str]) -> None:
        session = Session(self._session.chosen_dir)
        try:
            self._on_result(apply.apply(session, changes.recover(fallen), self._on_event))
        finally:
            session.close()

    def _heartbeat_address(self) -> Address | None:
        project = self._sight.snapshot.project
        named = project.fleet.alerts.heartbeat
        return addresses.resolve([named], project.variables)[0] if named else None

    def _addresses(self) -> list[Address]:
        project = self._sight.snapshot.project
        return addresses.resolve(project.fleet.alerts.urls, project.variables)
