"""Turn conditions into messages: track them, group what happens together, send, and save across restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from manager.config.fleet import Alerts, Fleet
from manager.fleet import snoozes
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.monitor.watch import alert_state, daily_report, messages, snoozing, store
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_rules import Condition, Progress
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.deliver import Deliverer
from manager.monitor.watch.history import NO_HISTORY
from manager.monitor.watch.kinds import Kind
from manager.monitor.watch.machine_rules import Disk
from manager.util import console, formatting

GATHER_S = 2.0
GATHER_MOST_S = 12.0
"""What happens together becomes one message: sent when nothing new came for a moment, or after this time."""
SAVE_S = 5.0
"""Alerts of this time may be repeated after watch was killed."""


class Notifier:
    """Notify for one fleet. Everything that is sent is also printed, for the terminal or the journal."""

    def __init__(self, fleet: Fleet, now: float, secrets: Callable[[], Collection[str]] = frozenset) -> None:
        """Take `secrets`, the values that no message may contain."""
        self._fleet = fleet
        self._secrets = secrets
        saved = store.load(fleet.alert_state_file)
        self._book = dict(saved.book) if saved else {}
        self.history = saved.history if saved else NO_HISTORY
        today = datetime.fromtimestamp(now)
        is_past = daily_report.is_due(fleet.alerts.digest_at, today, "")
        self._digest = today.date().isoformat() if is_past else ""
        if saved:
            self._digest = daily_report.by(today, saved.digest)
        self._saved = saved
        self._next_save = 0.0
        self._pending: list[Alert] = []
        self._pending_since = self._pending_last = 0.0
        self._sent_at = float("-inf")
        self._deliverer = Deliverer(console.warning)
        self._delivered_at = saved.delivered_at if saved else None
        self._left = self._waiting = saved.waiting if saved else store.NONE_WAITING
        self._saved_halted = saved.halted if saved else frozenset()
        self._halted = set(self._saved_halted or ())
        self._told_before = {key: entry.said_at for key, entry in self._book.items()}

    def has_open(self, kind: str) -> bool:
        """Return whether a condition of this kind is open."""
        return any(key[1] == kind for key in self._book)

    def was_halted_today(self, subject: str, kind: str) -> bool:
        """Return whether an earlier `watch` has halted for this limit today. One of an earlier version has
        only told the limit.
        """
        today = formatting.day(time.time())
        if self._saved_halted is not None:
            return (subject, kind, today) in self._saved_halted
        told = next((at for key, at in self._told_before.items() if key == (subject, kind)), None)
        return told is not None and formatting.day(told) == today

    def note_halted(self, halted: Collection[store.Halted]) -> None:
        """Remember for which limits there was a halt: whoever resumes afterwards is left alone."""
        self._halted |= set(halted)

    def look(self, views: Mapping[str, Instance], now: float) -> None:
        """Add a snapshot to the history."""
        self.history = self.history.after(views.values(), now)

    def clock_was_set(self, seconds: float, now: float) -> None:
        """Have all that is remembered be as long ago as it was before the clock was set by so many seconds.

        Else what has begun a moment ago is told at once, or only after an hour.
        """
        before = now - seconds
        left = snoozing.silenced(snoozes.load(self._fleet.snooze_file), self._book, before)
        self._book = alert_state.shifted(self._book, seconds, left)
        self.history = self.history.shifted(seconds)
        if seconds < -daily_report.HALF_A_DAY_S:
            self._digest = daily_report.by(datetime.fromtimestamp(now), self._digest)

    def note(
        self,
        conditions: Iterable[Condition],
        rules: Alerts,
        now: float,
        *,
        well: Collection[str],
        away: Collection[str],
        are_unknown: bool,
        unsettled: Collection[str],
        cancelled: Collection[str] = (),
        unknown: Collection[Kind] = (),
    ) -> None:
        """Process the conditions of this moment."""
        after, alerts = alert_state.advance(
            self._book,
            conditions,
            rules,
            now,
            well=well,
            away=away,
            are_unknown=are_unknown,
            unsettled=unsettled,
            cancelled=cancelled,
            unknown=unknown,
            snoozed=snoozing.silenced(snoozes.load(self._fleet.snooze_file), self._book, now),
        )
        for alert in alerts:
            self.add(alert, now)
        # last: SIGTERM may come at any moment, and what is not yet to be sent must not count as said
        self._book = after

    def subjects(self) -> set[str]:
        """Return the instances that have open conditions."""
        return {subject for subject, _kind in self._book if subject}

    def add(self, alert: Alert, now: float) -> None:
        """Add an alert, to be sent together with others that follow within a moment."""
        lines = [f"{formatting.clock(now)} {alert.text}", *(f"  {line}" for line in alert.details)]
        console.say(messages.without("\n".join(lines), self._secrets()))
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending_last = time.monotonic()
        self._pending.append(alert)

    def flush(self, addresses: Sequence[Address], rules: Alerts) -> None:
        """Send what was grouped, unless the last message is too recent; first what an earlier watch could not
        send.
        """
        left, self._left = self._left, {}
        for address in addresses if left else ():
            for message in left.get(address.reference, ()):
                self._deliverer.put(message, [address])
        now = time.monotonic()
        is_quiet = now - self._pending_last >= GATHER_S
        if not self._pending or not (is_quiet or now - self._pending_since >= GATHER_MOST_S):
            return
        if now - self._sent_at < rules.message_interval:
            return
        self._send(addresses)

    def report(
        self,
        views: Mapping[str, Instance],
        progress: Mapping[str, Progress],
        disk: Disk | None,
        addresses: Sequence[Address],
        rules: Alerts,
        now: float,
    ) -> None:
        """Send the daily report when it is due."""
        today = datetime.fromtimestamp(now)
        if not daily_report.is_due(rules.digest_at, today, self._digest):
            return
        message = daily_report.text(self._fleet.name, views, self.history, progress, disk, now)
        console.say("\n".join([message.title, *(f"  {line}" for line in message.body.splitlines())]))
        self._deliverer.put(messages.withheld(message, self._secrets()), addresses)
        self._digest = today.date().isoformat()

    def save(self, *, at_once: bool = False) -> None:
        """Save changes, but no alert as reported before it is queued: a repeated alert is better than none.

        A full disk causes a warning, and does not prevent alerts.
        """
        if self._pending:
            return
        saved = store.Saved(
            self._book,
            self.history,
            self._digest,
            {**self._left, **self._deliverer.waiting()},
            self._deliverer.delivered_at or self._delivered_at,
            frozenset(sorted(self._halted, key=lambda halted: halted[2])[-store.MOST_HALTED :]),
        )
        is_urgent = at_once or saved.waiting != self._waiting
        if saved == self._saved or (time.monotonic() < self._next_save and not is_urgent):
            return
        self._waiting = saved.waiting
        self._next_save = time.monotonic() + SAVE_S
        try:
            store.save(self._fleet.alert_state_file, saved)
            self._saved = saved
        except OSError as error:
            console.warning(
                Text(
                    "cannot write {path}: {why}",
                    path=self._fleet.alert_state_file,
                    why=error.strerror or error,
                )
            )

    def close(self, addresses: Sequence[Address]) -> None:
        """Send what is left, and save."""
        if self._pending:
            self._send(addresses)
        self.save(at_once=True)  # this process may be killed during the last try
        self._deliverer.close()
        self.save(at_once=True)

    def _send(self, addresses: Sequence[Address]) -> None:
        self._sent_at = time.monotonic()
        message = messages.message(self._fleet.name, self._pending)
        self._deliverer.put(messages.withheld(message, self._secrets()), addresses)
        self._pending = []
