"""Which faults are worth a message now: each is said once, again after a while, and once when it is over. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from manager.config.fleet import Alerts
from manager.i18n import Text, mark
from manager.monitor.watch.alert_rules import MACHINE, Condition, Kind
from manager.util.formatting import age

Tone = Literal["bad", "good", "news"]

WAITING: frozenset[Kind] = frozenset({"down", "unhealthy"})
"""What another manager that is at work causes by itself, for a moment."""

PASSING: frozenset[Kind] = frozenset({"oom"})
"""Events rather than states: they keep nobody from being well again."""

NEVER_REMINDED: frozenset[Kind] = frozenset({"completed", "oom"})
"""Once said, nothing is to be done about it."""

BACK: Mapping[Kind, str] = {
    "disk": mark("there is enough disk space again"),
    "inodes": mark("there are enough inodes again"),
    "engine": mark("the Docker Engine is back after {time}"),
}

Key = tuple[str, Kind]


class Open(NamedTuple):
    """A fault that was seen. Times in seconds since the epoch: first seen, said, last seen gone."""

    since: float
    said_at: float | None = None
    gone_at: float | None = None

    def by(self, now: float) -> Open:
        """The same on a clock that has been set back since: nothing was seen in the future, or it would be waited for."""
        said, gone = (None if at is None else min(at, now) for at in self[1:])
        return Open(min(self.since, now), said, gone)


Book = Mapping[Key, Open]


class Alert(NamedTuple):
    """One line of a message."""

    subject: str
    kind: Kind
    tone: Tone
    text: Text
    details: tuple[str, ...] = ()


def step(
    book: Book,
    faults: Iterable[Condition],
    rules: Alerts,
    now: float,
    *,
    well: Collection[str] = (),
    away: Collection[str] = (),
    are_unknown: bool = False,
    is_unsettled: bool = False,
) -> tuple[dict[Key, Open], list[Alert]]:
    """The book after this moment, and what is to be said.

    `well`: the instances that run as they should. `away`: those that are stopped or gone; where that is no fault it is a person's
    word, and nothing more is to be said of them. `are_unknown`: the engine is away, so nothing new is known of any
    instance. `is_unsettled`: another manager is at work, or a new engine; what they do is not taken for a fault.
    """
    book = {key: entry.by(now) for key, entry in book.items()}
    after: dict[Key, Open] = {}
    alerts: list[Alert] = []
    seen = set()
    for fault in faults:
        key = (fault.subject, fault.kind)
        seen.add(key)
        entry = book.get(key, Open(now))._replace(gone_at=None)
        if entry.said_at is None and is_unsettled and fault.kind in WAITING:
            entry = Open(now)
        alert = _due(fault, entry, rules, now)
        if alert is not None:
            alerts.append(alert)
            entry = entry._replace(said_at=now)
        after[key] = entry
    gone: dict[Key, Open] = {}
    for key, entry in book.items():
        if key in seen:
            continue
        if are_unknown and key[0] != MACHINE:
            after[key] = entry
        elif entry.said_at is not None:
            gone[key] = entry
    for subject in sorted({subject for subject, _kind in gone}):
        mine = {key: entry for key, entry in gone.items() if key[0] == subject}
        if subject == MACHINE:
            alerts += [_over(kind, now - entry.since) for (_subject, kind), entry in mine.items()]
        elif subject not in away or any(key[0] == subject for key in after):
            kept, alert = _fading(mine, after, rules, now, is_well=subject in well)
            after.update(kept)
            alerts += [alert] if alert else []
    return after, alerts


def _due(fault: Condition, entry: Open, rules: Alerts, now: float) -> Alert | None:
    if entry.said_at is None:
        if now - entry.since < fault.after:
            return None
        return Alert(fault.subject, fault.kind, "bad", fault.text, fault.details)
    if not rules.remind_after or fault.kind in NEVER_REMINDED or now - entry.said_at < rules.remind_after:
        return None
    text = Text("still the case after {time}: {what}", time=age(now - entry.since), what=fault.text)
    return Alert(fault.subject, fault.kind, "bad", text)


def _over(kind: Kind, seconds: float) -> Alert:
    return Alert(MACHINE, kind, "good", Text(BACK[kind], time=age(seconds)))


def _fading(
    mine: Mapping[Key, Open], present: Mapping[Key, Open], rules: Alerts, now: float, *, is_well: bool
) -> tuple[dict[Key, Open], Alert | None]:
    """One instance's faults that were said and are no longer seen: what stays in the book of them, and what is to be said.

    It is back when it has been well for a while and nothing else is wrong with it: `failed` after `restarting` is no recovery.
    """
    subject = next(iter(mine))[0]
    if any(key[0] == subject and key[1] not in PASSING and entry.said_at for key, entry in present.items()):
        return {}, None
    if not is_well:
        return {key: entry._replace(gone_at=None) for key, entry in mine.items()}, None
    kept = {key: entry._replace(gone_at=entry.gone_at or now) for key, entry in mine.items()}
    ended = max(entry.gone_at or now for entry in kept.values())
    if now - ended < rules.recovered_after:
        return kept, None
    if all(kind in NEVER_REMINDED for _subject, kind in mine):
        return {}, None
    first = min(entry.since for entry in mine.values())
    text = Text("{id} is running again, after {time}", id=subject, time=age(ended - first))
    return {}, Alert(subject, next(iter(mine))[1], "good", text)


def as_json(book: Book) -> list[list[Any]]:
    """For the state file."""
    return [[*key, *entry] for key, entry in book.items()]


def from_json(raw: Iterable[Any]) -> dict[Key, Open]:
    """What `as_json` gave. Raises TypeError or ValueError for anything else."""
    book: dict[Key, Open] = {}
    for subject, kind, since, said_at, gone_at in raw:
        if kind not in get_args(Kind):
            raise ValueError(kind)
        book[str(subject), kind] = Open(float(since), _time(said_at), _time(gone_at))
    return book


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
