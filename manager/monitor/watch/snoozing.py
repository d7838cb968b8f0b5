"""Leave what is wrong with an instance until a named time, and say which alerts that silences."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from manager.config.fleet import Fleet
from manager.errors import UsageError, writing_to
from manager.fleet import doing, event_spool, snoozes
from manager.fleet.instance import Instance
from manager.fleet.snoozes import Snooze, Snoozes
from manager.monitor.watch import store
from manager.monitor.watch.alert_state import Book, Key
from manager.util import ownership
from manager.util.formatting import date_and_time

MORNING = 8
AT_LEAST_S = 3600.0


class OpenAlert(NamedTuple):
    """Hold one alert that is not over. Unix times; `instance`: empty for the machine."""

    instance: str
    kind: str
    since: float
    said_at: float | None
    snoozed_until: float | None


def next_morning(now: float) -> float:
    """Return the next 08:00, local time, that is more than an hour away."""
    morning = datetime.fromtimestamp(now).replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if morning.timestamp() < now + AT_LEAST_S:
        morning += timedelta(days=1)
    return morning.timestamp()


def silenced(all_snoozes: Snoozes, book: Book, now: float) -> dict[Key, float]:
    """Return which open conditions a person has left, and until when: also those whose time is over.

    One that ended and began again is another. Pure.
    """
    found: dict[Key, float] = {}
    for (subject, kind), entry in book.items():
        snooze = all_snoozes.get(subject)
        if snooze is None or now < snooze.at - snoozes.CLOCK_SLACK_S:
            continue
        if snooze.alerts.get(kind) == entry.since:
            found[subject, kind] = snooze.until
    return found


def open_alerts(fleet: Fleet, now: float) -> list[OpenAlert]:
    """Return all that `manager watch` knows to be wrong, the oldest first."""
    book = _book(fleet)
    left = silenced(snoozes.load(fleet.snooze_file), book, now)
    found = [
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
    return sorted(found, key=lambda alert: (alert.since, alert.instance, alert.kind))


def snooze(fleet: Fleet, view: Instance, until: float) -> Snooze:
    """Leave what is wrong with it until then.

    Raises UsageError: nothing is wrong. Raises ManagerError: no file can be written.
    """
    now = time.time()
    if not now < until <= now + snoozes.LONGEST_S:
        raise UsageError("the time must be within the next 30 days, not {time}", time=date_and_time(until))
    alerts: dict[str, float] = {
        kind: entry.since for (subject, kind), entry in _book(fleet).items() if subject == view.id
    }
    if not alerts and doing.severity(view) == "calm":
        raise UsageError("nothing is wrong with {id}: no alert of it is open", id=view.id)
    made = Snooze(now, until, view.status.state, doing.activity(view, now).doing or "", alerts)
    _write(fleet, view.id, made)
    event_spool.note(
        fleet,
        [event_spool.happened("alert snooze", view.id, f"until {date_and_time(until)}", "", is_done=True)],
    )
    return made


def end(fleet: Fleet, instance: str) -> bool:
    """Be told of it again at once; return whether it was left. Raises ManagerError."""
    snoozed = snoozes.load(fleet.snooze_file).get(instance)
    if snoozed is None or not snoozed.lasts(time.time()):
        return False
    _write(fleet, instance, None)
    event_spool.note(fleet, [event_spool.happened("alert snooze", instance, "ended", "", is_done=True)])
    return True


def _book(fleet: Fleet) -> Book:
    saved = store.load(fleet.alert_state_file)
    return saved.book if saved else {}


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
