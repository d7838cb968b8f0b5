"""From faults to messages: keeps the book, gathers what happens together, sends, and remembers across restarts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from manager.config.fleet import Alerts, Fleet
from manager.fleet.instance import Instance
from manager.i18n import Text
from manager.monitor.watch import alert_state, daily_report, messages, store
from manager.monitor.watch.addresses import Address
from manager.monitor.watch.alert_rules import Condition, Disk, Progress
from manager.monitor.watch.alert_state import Alert
from manager.monitor.watch.deliver import Deliverer
from manager.monitor.watch.history import NO_HISTORY
from manager.util import console, formatting

GATHER_S = 2.0
GATHER_MOST_S = 12.0
"""What happens together is one message: it goes when nothing more has come for a moment, and after this time in any case."""
SAVE_S = 5.0
"""What a killed watch may say a second time."""


class Notifier:
    """One fleet's. Everything that is sent is printed too: a person in front of it, or the journal, sees the same."""

    def __init__(self, fleet: Fleet, now: float) -> None:
        self._fleet = fleet
        saved = store.load(fleet.alert_state_file)
        self._book = dict(saved.book) if saved else {}
        self.history = saved.history if saved else NO_HISTORY
        today = datetime.fromtimestamp(now)
        is_past = daily_report.is_due(fleet.alerts.digest_at, today, "")
        self._digest = saved.digest if saved else today.date().isoformat() if is_past else ""
        self._saved = saved
        self._next_save = 0.0
        self._pending: list[Alert] = []
        self._pending_since = self._pending_last = 0.0
        self._sent_at = float("-inf")
        self._deliverer = Deliverer(console.warning)
        self._left = self._waiting = saved.waiting if saved else store.NONE_WAITING

    def has_open(self, kind: str) -> bool:
        """Whether a fault of this kind is in the book."""
        return any(key[1] == kind for key in self._book)

    def look(self, views: Mapping[str, Instance], now: float) -> None:
        """One more look for the history."""
        self.history = self.history.after(views.values(), now)

    def note(
        self,
        found: Iterable[Condition],
        rules: Alerts,
        now: float,
        *,
        well: Collection[str],
        away: Collection[str],
        are_unknown: bool,
        is_unsettled: bool,
    ) -> None:
        """The faults of this moment."""
        after, alerts = alert_state.step(
            self._book,
            found,
            rules,
            now,
            well=well,
            away=away,
            are_unknown=are_unknown,
            is_unsettled=is_unsettled,
        )
        for each in alerts:
            self.add(each, now)
        self._book = after  # last: SIGTERM may come at any moment, and what is not yet to be sent must not count as said

    def subjects(self) -> set[str]:
        """The instances that something is in the book of."""
        return {subject for subject, _kind in self._book if subject}

    def add(self, alert: Alert, now: float) -> None:
        """Something to be said, with whatever else comes within a moment."""
        console.say(f"{formatting.clock(now)} {alert.text}")
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending_last = time.monotonic()
        self._pending.append(alert)

    def flush(self, addresses: Sequence[Address], rules: Alerts) -> None:
        """Sends what has been gathered, unless the last message was a moment ago; at first what an earlier watch could not."""
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
        """Sends the daily report, when its time has come."""
        today = datetime.fromtimestamp(now)
        if not daily_report.is_due(rules.digest_at, today, self._digest):
            return
        message = daily_report.text(self._fleet.name, views, self.history, progress, disk, now)
        console.say("\n".join([message.title, *(f"  {line}" for line in message.body.splitlines())]))
        self._deliverer.put(message, addresses)
        self._digest = today.date().isoformat()

    def save(self, *, at_once: bool = False) -> None:
        """Remembers, if there is anything new, and nothing as said before it is on its way: better twice than never.

        A full disk is said, and keeps nobody from being told of it.
        """
        if self._pending:
            return
        saved = store.Saved(
            self._book, self.history, self._digest, {**self._left, **self._deliverer.waiting()}
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
        """Sends what is left, and remembers."""
        if self._pending:
            self._send(addresses)
        self.save(at_once=True)  # somebody may kill us during the last try
        self._deliverer.close()
        self.save(at_once=True)

    def _send(self, addresses: Sequence[Address]) -> None:
        self._sent_at = time.monotonic()
        self._deliverer.put(messages.message(self._fleet.name, self._pending), addresses)
        self._pending = []
