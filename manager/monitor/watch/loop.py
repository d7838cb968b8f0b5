"""Run the loop: wait, observe, decide (in the pure modules), act.

One thread; polling and sending have their own.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from manager.config import bot_environment
from manager.config.variables import secret_values
from manager.errors import EngineError, ManagerError
from manager.fleet import halt_mark, supervisor_state
from manager.fleet.bot_report import Report
from manager.fleet.selection import Selection
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.monitor.history.recorder import Recorder
from manager.monitor.stats.senders import REFUSED, Senders
from manager.monitor.watch import addresses, alert_rules, change_detector, loss_limits, machine_rules
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_rules import MACHINE, Condition
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.bot_poller import Questions
from manager.monitor.watch.clock_jumps import ClockJumps
from manager.monitor.watch.concerned import Concerned
from manager.monitor.watch.disk_guard import DiskGuard
from manager.monitor.watch.egress_keeper import EgressKeeper
from manager.monitor.watch.heartbeat import Heartbeat
from manager.monitor.watch.kinds import Kind
from manager.monitor.watch.loss_halts import LossHalts
from manager.monitor.watch.loss_limits import Breach
from manager.monitor.watch.machine_rules import Disk
from manager.monitor.watch.notifier import Notifier
from manager.monitor.watch.observer import FleetObserver
from manager.monitor.watch.position_keeper import PositionKeeper
from manager.monitor.watch.request_keeper import RequestKeeper
from manager.monitor.watch.shared_look import SharedLook
from manager.monitor.watch.twin_keeper import TwinKeeper
from manager.ops import apply
from manager.ops.actions.events import OnEvent
from manager.ops.actions.result import Result
from manager.ops.planning import changes
from manager.util import console
from manager.util.garbage import rarely_collected

if TYPE_CHECKING:
    from manager.config.fleet import Fleet
    from manager.fleet.instance import Instance
    from manager.fleet.project import Project
    from manager.monitor.metrics.publisher import Answer, Publisher
    from manager.monitor.stats.sampler import Statistics

TICK_S = 1.0
"""Interval of checking the state files: most crashes inside containers cause no engine event."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
DISK_S = 30.0
RECOVER_AGAIN_S = 5.0


class Watch:
    """Run `manager watch` once. `on_event`, `on_result` receive what is done to start bots again.

    `metrics` is begun when the fleet has been seen. `share`: whom each look is given to.
    """

    def __init__(
        self,
        session: Session,
        on_event: OnEvent,
        on_result: Callable[[Result], object],
        metrics: Callable[[Fleet, Statistics], Publisher] | None = None,
        share: SharedLook | None = None,
    ) -> None:
        self._session, self._on_event, self._on_result = session, on_event, on_result
        self._observer, self._share = FleetObserver(session, share), share
        self._observer.look()
        self._observer.snapshot.require_ours()
        halt_mark.keep_fleet_ready(self._observer.fleet)
        self._notifier = Notifier(self._observer.fleet, time.time(), self._secrets)
        self._notifier.look(self._observer.snapshot.views, time.time())
        self._questions = Questions()
        self._recorder = Recorder(self._observer.fleet, console.warning)
        self._loss_halts = LossHalts(session.chosen_dir, self._notifier.was_halted_today)
        self._disk_guard = DiskGuard(self._observer.fleet, self._stop_for_disk)
        self._heartbeat = Heartbeat(console.warning)
        self._requests, self._positions = RequestKeeper(console.error), PositionKeeper()
        self._egress, self._twins = EgressKeeper(), TwinKeeper()
        self._senders = Senders(session.engine().statistics, time.monotonic)
        self._exceeded: dict[tuple[str, str, str], Breach] = {}
        self._concerned, self._clock_jumps = Concerned(), ClockJumps()
        self._resolved: tuple[Project, list[Address]] | None = None
        self._disk: Disk | None = None
        self._next_disk = self._next_recovery = 0.0
        self._is_ending = False
        self._metrics = metrics and metrics(self._observer.fleet, session.engine().statistics)
        if self._metrics:
            self._publish(self._metrics, has_looked=True)

    def run(self, has_ended: Callable[[], bool] = lambda: False) -> None:
        """Run until SIGTERM or Ctrl-C. Starts in progress are finished, new ones are not begun.

        `has_ended`: whether a signal has come before, which the caller has heard.
        """
        try:
            for number in ENDING_SIGNALS:
                signal.signal(number, self._end)
            self._is_ending = self._is_ending or has_ended()
            self._greet()
            with rarely_collected():
                while not self._is_ending:
                    self._tick(time.time())
                    self._observer.wait(TICK_S)
        except KeyboardInterrupt:
            pass
        finally:
            for number in ENDING_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._observer.close()
            self._questions.close()
            self._recorder.close()
            self._disk_guard.close()
            self._heartbeat.close()
            if self._metrics:
                self._metrics.close()
            for alert in self._loss_halts.close():
                self._notifier.add(alert, time.time())
            self._notifier.note_halted(self._loss_halts.halted)
            self._notifier.close(self._addresses())

    def _end(self, *_: object) -> None:
        """Record the signal and raise: a plan in progress is finished, and takes the interruption as its
        own.
        """
        self._is_ending = True
        raise KeyboardInterrupt

    def _greet(self) -> None:
        fleet, count = self._observer.fleet, len(self._observer.snapshot.views)
        console.say(Text("watching {count} instances of {fleet}", count=count, fleet=fleet.name))
        if not fleet.alerts.urls:
            console.say(_("alerts.urls is not set in config/fleet.toml: alerts are only printed here"))
        for address in self._addresses():
            if not address.url:
                console.warning(Text("{name} is not set; write it into .env", name=address.reference))

    def _hold_to_limits(self, now: float) -> list[Breach]:
        """Halt what has lost more than it may, and stop what fills the disk. Returns the limits broken."""
        breaches = self._breaches()
        is_asked = self._observer.fleet.limits.on_loss == "halt"
        views = self._observer.snapshot.views.values()
        halted = [view.id for view in views if view.saved.halted is not None and not view.is_bot_up]
        halts = self._loss_halts.carry_out(breaches, is_asked=is_asked, halted=halted)
        self._notifier.note_halted(self._loss_halts.halted)
        for alert in [*halts, *self._guard_disk()]:
            self._notifier.add(alert, now)
            if self._metrics:
                self._metrics.note_stop_by_limit(now)
        return breaches

    def _tick(self, now: float) -> None:
        observer, notifier = self._observer, self._notifier
        if jump := self._clock_jumps.since_last():
            notifier.clock_was_set(jump, now)
        if has_looked := observer.look_if_due():
            notifier.look(observer.snapshot.views, now)
            self._recorder.record(
                observer.snapshot.views,
                self._questions.reports,
                now,
                asks_for_today=loss_limits.is_set(observer.fleet),
            )
            # The command that runs tells those that it is at work on.
            unsettled = observer.unsettled() if observer.is_busy() else None
            self._requests.look(observer.snapshot, now, unsettled)
            self._positions.look(observer.snapshot, unsettled or ())
        self._positions.tell_if_due(observer.snapshot, now)
        self._recorder.go_on()
        self._twins.look_if_due(observer.fleet, observer.snapshot)
        snapshot = observer.snapshot
        is_due = not observer.why_away and self._egress.is_due(snapshot.project.fleet)
        if is_due and observer.is_firewall_left_alone():
            self._egress.look_if_due(
                self._session.engine(), snapshot.project, snapshot.observed.containers.values()
            )
        if not observer.why_away and not self._loss_halts.is_halting:
            self._recover_crashed()
        if time.monotonic() >= self._next_disk:
            self._disk, self._next_disk = (
                change_detector.disk(observer.fleet.data_dir),
                time.monotonic() + DISK_S,
            )
        views, rules = observer.snapshot.views, observer.fleet.alerts
        if not observer.why_away:
            self._questions.ask_if_due(views, observer.fleet)
            if self._share is not None:
                self._share.answers = self._questions.to_share
            with contextlib.suppress(EngineError):
                self._senders.look_if_due(observer.snapshot, self._metrics.usages if self._metrics else {})
        breaches = self._hold_to_limits(now)
        notifier.note(
            [*self._faults(now), *(breach.condition for breach in breaches), *self._blind()],
            rules,
            now,
            well=alert_rules.well(self._concerned_views(now).values(), now) | self._concerned.calm,
            away=alert_rules.away(views, notifier.subjects()),
            are_unknown=bool(observer.why_away),
            unsettled=observer.unsettled(),
            cancelled=alert_rules.cancelled(self._concerned_views(now).values()),
            unknown=self._unknown(),
        )
        self._heartbeat.beat_if_due(self._heartbeat_address())
        notifier.flush(self._addresses(), rules)
        if self._questions.have_answers or observer.why_away:
            notifier.report(views, self._questions.answers, self._disk, self._addresses(), rules, now)
        notifier.save()
        if self._metrics:
            self._publish(self._metrics, has_looked=has_looked)

    def _breaches(self) -> list[Breach]:
        """Return the exceeded loss limits. One that is exceeded stays so for the day: P&L rises and falls."""
        fleet, recorder = self._observer.fleet, self._recorder
        if not loss_limits.is_set(fleet) or not recorder.day:
            return []
        project = self._observer.snapshot.project
        accounts = bot_environment.accounts(project.specs.values(), fleet, project.variables)
        present = {
            breach.key: breach
            for breach in loss_limits.breaches(fleet, recorder.today, recorder.day, accounts)
        }
        breaches = {key: breach for key, breach in self._exceeded.items() if breach.day == recorder.day}
        self._exceeded = breaches | present
        return list(self._exceeded.values())

    def _blind(self) -> list[Condition]:
        fleet, recorder = self._observer.fleet, self._recorder
        if not loss_limits.is_set(fleet):
            return []
        if recorder.why:
            return [loss_limits.blind(recorder.why)]
        uncounted = loss_limits.uncounted(fleet, recorder.today)
        return [] if uncounted is None else [uncounted]

    def _unknown(self) -> list[Kind]:
        """Return what was not looked for yet since this `watch` has begun."""
        unknown = self._twins.unknown()
        unknown += [] if self._egress.has_looked else ["egress"]
        is_counted = self._recorder.day or not loss_limits.is_set(self._observer.fleet)
        return unknown if is_counted else [*unknown, "fleet_loss", "account_loss"]

    def _faults(self, now: float) -> list[Condition]:
        observer, rules = self._observer, self._observer.fleet.alerts
        is_low = self._notifier.has_open("disk") or self._notifier.has_open("inodes")
        conditions = [*machine_rules.of_disk(self._disk, rules, is_low=is_low), *self._egress.conditions()]
        conditions += self._twins.conditions()
        if observer.why_away:
            return [*conditions, machine_rules.of_engine(observer.why_away, rules)]
        views, history = observer.snapshot.views, self._notifier.history
        project = observer.snapshot.project
        conditions += machine_rules.of_configs(
            project.problems, project.blocking_problems, observer.fault, views.values(), rules
        )
        concerned = self._concerned_views(now)
        reported = {
            view.id: supervisor_state.open_orders_left(observer.fleet.instance_state_dir(view.id))
            for view in concerned.values()
            if view.mode == "live" and not view.is_bot_up
        }
        conditions += self._disk_guard.conditions(observer.fleet, views)
        of_instances = alert_rules.of_instances(
            concerned, history, self._questions.answers, rules, now, reported
        )
        self._concerned.settle({condition.subject for condition in of_instances})
        return conditions + [self._with_senders(condition) for condition in of_instances]

    def _concerned_views(self, now: float) -> Mapping[str, Instance]:
        """Return the instances to be looked at now."""
        observer, history = self._observer, self._notifier.history
        rules, answers = observer.fleet.alerts, self._questions.answers
        return self._concerned.of(observer.snapshot.views, history, answers, rules, now)

    def _with_senders(self, condition: Condition) -> Condition:
        """Add who sends most to a condition whose cause may be another bot's requests."""
        if condition.kind != "exchange_away" or condition.case not in REFUSED:
            return condition
        group = self._senders.group_of(condition.subject, self._observer.snapshot)
        return alert_rules.with_senders(condition, group)

    def _guard_disk(self) -> list[Alert]:
        """Stop the bot that fills the disk; not while the engine is away, when no stop is possible."""
        observer = self._observer
        if observer.why_away:
            return []
        return self._disk_guard.look(observer.fleet, observer.snapshot.views)

    def _stop_for_disk(self, instance: str, why: Text) -> None:
        """Stop an instance as `manager stop` does. Raises ManagerError."""
        session = Session(self._session.chosen_dir)
        try:
            change = changes.stop(Selection([instance]), Text("`manager watch`: {why}", why=why))
            result = apply.apply(session, change, self._on_event)
            self._on_result(result)
        finally:
            session.close()
        for outcome in result.outcomes:
            if outcome.error is not None:
                raise outcome.error
        self._observer.look()

    def _recover_crashed(self) -> None:
        """Start again what an engine crash stopped (engine_recovery.py), under the fleet's lock."""
        crashed = self._observer.still_down()
        if not crashed or time.monotonic() < self._next_recovery:
            return
        names = ", ".join(crashed)
        console.say(Text("the engine crashed and came back without {ids}: starting them again", ids=names))
        try:
            self._recover(crashed)
        except ManagerError as error:
            console.error(error)
        self._next_recovery = time.monotonic() + RECOVER_AGAIN_S
        self._observer.look()
        still_down = self._observer.still_down()
        if recovered := [instance for instance in crashed if instance not in still_down]:
            text = Text("the engine crashed and came back; started again: {ids}", ids=", ".join(recovered))
            self._notifier.add(Alert(MACHINE, "engine", "news", text), time.time())

    def _recover(self, crashed: list[str]) -> None:
        session = Session(self._session.chosen_dir)
        try:
            self._on_result(apply.apply(session, changes.recover(crashed), self._on_event))
        finally:
            session.close()

    def _publish(self, metrics: Publisher, *, has_looked: bool) -> None:
        """Give the latest look to the scrapes.

        An engine that goes away meanwhile is noticed by the next look.
        """
        observer = self._observer
        if has_looked:
            metrics.note_moves(self._twins.moves())
        if observer.why_away:
            metrics.engine_is_away(observer.why_away)
        elif has_looked:
            answers, budgets = self._answers(), self._requests.budgets
            with contextlib.suppress(EngineError):
                metrics.publish(observer.fleet, observer.snapshot.views, answers, budgets)

    def _answers(self) -> Mapping[str, Answer]:
        """Return what the bots have answered, for metrics."""
        from manager.monitor.metrics.publisher import Answer

        return {
            instance: Answer(
                Report(pnl=progress.pnl, quote=progress.quote or None, market=progress.market),
                None if progress.tick_age is None else self._questions.answered_at - progress.tick_age,
            )
            for instance, progress in self._questions.answers.items()
        }

    def _heartbeat_address(self) -> Address | None:
        """Return what to ask for: nothing while the engine is away, because then no bot is watched."""
        if self._observer.why_away:
            return None
        project = self._observer.snapshot.project
        named = project.fleet.alerts.heartbeat
        return addresses.resolve([named], project.variables)[0] if named else None

    def _secrets(self) -> frozenset[str]:
        return secret_values(self._observer.snapshot.project.variables)

    def _addresses(self) -> list[Address]:
        project = self._observer.snapshot.project
        if self._resolved is None or self._resolved[0] is not project:  # asked twice a second
            self._resolved = project, addresses.resolve(project.fleet.alerts.urls, project.variables)
        return self._resolved[1]
