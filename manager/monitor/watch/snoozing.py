"""Snooze what is wrong with an instance until a named time, and say which alerts that silences."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from manager.config.fleet import Fleet
from manager.errors import UsageError, writing_to
from manager.fleet import doing, event_spool, snoozes
from manager.fleet.instance import Instance
from manager.fleet.snoozes import Snooze, Snoozes
from manager.i18n import Text
from manager.monitor.watch import alert_rules, store
from manager.monitor.watch.alert_state import Book, Key
from manager.monitor.watch.history import NO_HISTORY
from manager.monitor.watch.kinds import Kind
from manager.typed import NamedTuple
from manager.util import ownership
from manager.util.formatting import date_and_time

MORNING = 8
AT_LEAST_S = 3600.0
NOTICED_WITHIN_S = 60.0
"""What was already the case when a person left it, `watch` notices within this time, by its own clock."""


class OpenAlert(NamedTuple):
    """Hold one alert that is not over. Unix times; `instance`: empty for the machine."""

    instance: str
    kind: Kind
    since: float
    said_at: float | None
    snoozed_until: float | None


def next_morning(now: float) -> float:
    """Return the next 08:00, local time, that is more than an hour away."""
    morning = datetime.fromtimestamp(now).replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if morning.timestamp() < now + AT_LEAST_S:
        morning += timedelta(days=1)
    return morning.timestamp()


def require_near(until: float, now: float) -> None:
    """Raise UsageError for a time that is past, or too far away."""
    if not now < until <= now + snoozes.LONGEST_S:
        raise UsageError("the time must be within the next 30 days, not {time}", time=date_and_time(until))


def silenced(all_snoozes: Snoozes, book: Book, now: float) -> dict[Key, float]:
    """Return which open conditions a person has left, and until when: also those whose time is over.

    One that ended and began again is another. Pure.
    """
    ends: dict[Key, float] = {}
    for (subject, kind), entry in book.items():
        snooze = all_snoozes.get(subject)
        if snooze is None or snooze.is_of_another_day(now):
            continue
        if _is_left(snooze, kind, entry.since):
            ends[subject, kind] = snooze.until
    return ends


def _is_left(snooze: Snooze, kind: str, since: float) -> bool:
    """Return whether it is the condition that was left: known then, or noticed just after."""
    left = snooze.alerts.get(kind)
    return left is not None and (
        left == since or (left == snooze.at and snooze.at <= since <= snooze.at + NOTICED_WITHIN_S)
    )


def left_until(all_snoozes: Snoozes, book: Book, view: Instance, now: float) -> float | None:
    """Return until when an instance is left as it is; None if it is not, or something new happened. Pure."""
    snooze = all_snoozes.get(view.id)
    if snooze is None or not snooze.covers(view.status.state, doing.activity(view, now).doing or "", now):
        return None
    is_new = any(
        subject == view.id and entry.gone_at is None and not _is_left(snooze, kind, entry.since)
        for (subject, kind), entry in book.items()
    )
    return None if is_new else snooze.until


def open_alerts(fleet: Fleet, now: float) -> list[OpenAlert]:
    """Return all that `manager watch` knows to be wrong, the oldest first."""
    saved = store.load(fleet.alert_state_file)
    return of_book(saved.book if saved else {}, snoozes.load(fleet.snooze_file), now)


def of_book(book: Book, all_snoozes: Snoozes, now: float) -> list[OpenAlert]:
    """Return the alerts of a book that are not over, the oldest first. Pure."""
    left = silenced(all_snoozes, book, now)
    alerts = [
        OpenAlert(
            subject,
            kind,
            entry.since,
            entry.said_at,
            until if (until := left.get((subject, kind), 0)) > now else None,
        )
        for (subject, kind), entry in book.items()
        if entry.gone_at is None
    ]
    return sorted(alerts, key=lambda alert: (alert.since, alert.instance, alert.kind))


def snooze(fleet: Fleet, view: Instance, until: float) -> Snooze:
    """Snooze what is wrong with it until then.

    Raises UsageError: nothing is wrong. Raises ManagerError: no file can be written.
    """
    now = time.time()
    require_near(until, now)
    alerts = _alerts(fleet, view, now)
    if not alerts and doing.severity(view, now) in {"calm", "off"} and not view.exited_unexpectedly:
        raise UsageError("nothing is wrong with {id}: no alert of it is open", id=view.id)
    made = Snooze(now, until, view.status.state, doing.activity(view, now).doing or "", alerts)
    _write(fleet, view.id, made)
    event_spool.note(
        fleet,
        [
            event_spool.happened(
                "alert snooze", view.id, Text("until {time}", time=date_and_time(until)), "", is_done=True
            )
        ],
    )
    return made


def end(fleet: Fleet, instance: str) -> bool:
    """End the snooze; return whether there was one. Raises ManagerError."""
    snoozed = snoozes.load(fleet.snooze_file).get(instance)
    if snoozed is None or not snoozed.lasts(time.time()):
        return False
    _write(fleet, instance, None)
    event_spool.note(fleet, [event_spool.happened("alert snooze", instance, Text("ended"), "", is_done=True)])
    return True


def _alerts(fleet: Fleet, view: Instance, now: float) -> dict[str, float]:
    """Return what is wrong with it: what `watch` knows, and since when, and what it would find now.

    The latter is of `now`: a bot that has just ended calmly, or a fleet that nobody has watched for a while.
    """
    saved = store.load(fleet.alert_state_file)
    history = saved.history if saved else NO_HISTORY
    present = alert_rules.of_instances({view.id: view}, history, {}, fleet.alerts, now)
    known: dict[str, float] = {
        kind: entry.since
        for (subject, kind), entry in (saved.book if saved else {}).items()
        if subject == view.id
    }
    since: dict[str, float] = {condition.kind: now for condition in present}
    return since | known


def _write(fleet: Fleet, instance: str, made: Snooze | None) -> None:
    """Write the file with this one, without those of long ago. Raises ManagerError."""
    now = time.time()
    before: Mapping[str, Snooze] = snoozes.load(fleet.snooze_file)
    members = {
        name: other
        for name, other in before.items()
        if name != instance and now - other.until < snoozes.LONGEST_S
    }
    if made is not None:
        members[instance] = made
    with writing_to(fleet.snooze_file):
        ownership.make_folder(fleet.state_dir)
        snoozes.save(fleet.snooze_file, members)
