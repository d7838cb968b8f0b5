"""Decide which conditions cause an alert now: each once, again after a while, and once when it is over.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from manager.config.fleet import Alerts
from manager.i18n import Text
from manager.monitor.watch.alert_rules import MACHINE, UNKNOWN, Condition
from manager.monitor.watch.kinds import BACK, NEVER_REMINDED, PASSING, WAITING, Kind
from manager.typed import NamedTuple
from manager.util.formatting import elapsed

Tone = Literal["bad", "good", "news"]

MOST_CASES = 20
"""Of one condition that are said, each once while it lasts."""

Key = tuple[str, Kind]


class Open(NamedTuple):
    """Hold a condition that was observed.

    Times in Unix time: first observed, reported, last observed to be gone. `left`: the amount that the last
    report said was left. `cases`: those that were reported.
    """

    since: float
    said_at: float | None = None
    gone_at: float | None = None
    left: str | None = None
    cases: tuple[str, ...] = ()

    def by(self, now: float) -> Open:
        """Return the same for a clock that was set back, which would otherwise wait for times in the
        future.
        """
        said_at, gone_at = (None if at is None else min(at, now) for at in (self.said_at, self.gone_at))
        return self._replace(since=min(self.since, now), said_at=said_at, gone_at=gone_at)


Book = Mapping[Key, Open]
NONE_SNOOZED: Mapping[Key, float] = MappingProxyType({})


class Alert(NamedTuple):
    """Hold one line of a message."""

    subject: str
    kind: Kind
    tone: Tone
    text: Text
    details: tuple[str, ...] = ()


def advance(
    book: Book,
    conditions: Iterable[Condition],
    rules: Alerts,
    now: float,
    *,
    well: Collection[str] = (),
    away: Collection[str] = (),
    are_unknown: bool = False,
    unsettled: Collection[str] = (),
    cancelled: Collection[str] = (),
    unknown: Collection[Kind] = (),
    snoozed: Mapping[Key, float] = NONE_SNOOZED,
) -> tuple[dict[Key, Open], list[Alert]]:
    """Return the open conditions after this moment, and the alerts to send.

    `well`: the instances that work as they should. `away`: those that are stopped or missing; if that is no
    condition, a user wanted it, and no alert follows. `are_unknown`: the engine cannot be reached, so that
    instances' states are unknown. `unsettled`: the instances that another manager is at work on, or all
    when the engine just started; what these cause is no condition.
    `unknown`: kinds that have not been looked for yet: what an earlier `watch` has said of them is not over.
    `cancelled`: failed instances whose orders are gone now. `snoozed`: until when a person has left a
    condition; then it is said.
    """
    before, book = book, {key: entry.by(now) for key, entry in book.items()}
    after: dict[Key, Open] = {}
    alerts: list[Alert] = []
    observed = set()
    for condition in conditions:
        key = (condition.subject, condition.kind)
        observed.add(key)
        entry = book.get(key, Open(now))._replace(gone_at=None)
        is_passing = condition.subject in unsettled and condition.kind in WAITING
        after[key], alert = _present(condition, entry, rules, now, snoozed.get(key), is_passing=is_passing)
        alerts += [alert] if alert else []
    gone: dict[Key, Open] = {}
    for key, entry in book.items():
        if key in observed:
            continue
        if (are_unknown and key[0] != MACHINE) or key[1] in unknown:
            after[key] = entry
        elif entry.said_at is not None and key[1] == "cancel" and key[0] in cancelled:
            text = Text("{id}: its orders are cancelled now", id=key[0])
            alerts.append(Alert(key[0], "cancel", "good", text))
        elif entry.said_at is not None:
            gone[key] = entry
    fading, ends = _ends(gone, after, rules, now, well=well, away=away)
    return _known_by_their_times({**after, **fading}, before, now, snoozed), [*alerts, *ends]


def _known_by_their_times(
    after: Mapping[Key, Open], before: Book, now: float, snoozed: Collection[Key]
) -> dict[Key, Open]:
    """Return the conditions, those that a person has left with the time by which his snooze knows them.

    It may be to come where the clock was set back.
    """
    return {
        key: entry._replace(since=before[key].since)
        if key in snoozed and key in before and entry.since == min(before[key].since, now)
        else entry
        for key, entry in after.items()
    }


def shifted(book: Book, seconds: float, but: Collection[Key] = ()) -> dict[Key, Open]:
    """Return the open conditions by a clock that was set by so many seconds: all is as long ago as it was.

    `but`: what a person has left, which is known by its time.
    """

    def moved(at: float | None) -> float | None:
        return None if at is None else at + seconds

    return {
        key: entry._replace(
            since=entry.since if key in but else entry.since + seconds,
            said_at=moved(entry.said_at),
            gone_at=moved(entry.gone_at),
        )
        for key, entry in book.items()
    }


def _present(
    condition: Condition,
    entry: Open,
    rules: Alerts,
    now: float,
    snoozed_until: float | None,
    *,
    is_passing: bool,
) -> tuple[Open, Alert | None]:
    """Return a present condition as it is kept, and the alert that is due. `is_passing`: it may just be what
    another manager's work causes.
    """
    if entry.said_at is None and is_passing:
        entry = Open(now)
    alert = _due(condition, entry, rules, now, snoozed_until, is_passing=is_passing)
    if alert is not None:
        entry = entry._replace(said_at=now, left=condition.left, cases=_with_case(entry, condition))
    elif entry.said_at is not None:  # an earlier version knew neither
        left = condition.left if entry.left is None else entry.left
        entry = entry._replace(left=left, cases=entry.cases or _with_case(entry, condition))
    return entry, alert


def _ends(
    gone: Mapping[Key, Open],
    present: Mapping[Key, Open],
    rules: Alerts,
    now: float,
    *,
    well: Collection[str],
    away: Collection[str],
) -> tuple[dict[Key, Open], list[Alert]]:
    """Return which of the reported conditions that are gone stay open for a while, and the alerts of those
    that are over.
    """
    fading: dict[Key, Open] = {}
    alerts: list[Alert] = []
    for subject in sorted({subject for subject, _kind in gone}):
        of_subject = {key: entry for key, entry in gone.items() if key[0] == subject}
        if subject == MACHINE:
            alerts += [_over(kind, now - entry.since) for (_subject, kind), entry in of_subject.items()]
        elif subject not in away or any(key[0] == subject for key in present):
            its_fading, alert = _fading(of_subject, present, rules, now, is_well=subject in well)
            fading.update(its_fading)
            alerts += [alert] if alert else []
    return fading, alerts


def _with_case(entry: Open, condition: Condition) -> tuple[str, ...]:
    if condition.case is None or condition.case in entry.cases:
        return entry.cases
    return (*entry.cases, condition.case)[-MOST_CASES:]


def _due(
    condition: Condition,
    entry: Open,
    rules: Alerts,
    now: float,
    snoozed_until: float | None,
    *,
    is_passing: bool,
) -> Alert | None:
    if snoozed_until is not None and now < snoozed_until:
        return None
    if entry.said_at is None:
        if now - entry.since < condition.after:
            return None
        return Alert(condition.subject, condition.kind, "bad", condition.text, condition.details)
    if entry.cases and condition.case not in (None, *entry.cases) and not is_passing:
        return Alert(condition.subject, condition.kind, "bad", condition.text, condition.details)
    if entry.left is not None and condition.left not in (None, UNKNOWN, entry.left):
        text = Text("another position is left than was said: {what}", what=condition.text)
        return Alert(condition.subject, condition.kind, "bad", text)
    is_asked_for = snoozed_until is not None and entry.said_at < snoozed_until
    if not is_asked_for and (
        not rules.remind_after or condition.kind in NEVER_REMINDED or now - entry.said_at < rules.remind_after
    ):
        return None
    text = Text("still the case after {time}: {what}", time=elapsed(now - entry.since), what=condition.text)
    return Alert(condition.subject, condition.kind, "bad", text)


def _over(kind: Kind, seconds: float) -> Alert:
    return Alert(MACHINE, kind, "good", Text(BACK[kind], time=elapsed(seconds)))


def _fading(
    of_subject: Mapping[Key, Open], present: Mapping[Key, Open], rules: Alerts, now: float, *, is_well: bool
) -> tuple[dict[Key, Open], Alert | None]:
    """Return which of an instance's reported, no longer observed conditions stay open, and the alert, if any.

    An instance has recovered if it was well for a while and has no other condition: `failed` after
    `restarting` is no recovery.
    """
    subject = next(iter(of_subject))[0]
    if any(key[0] == subject and key[1] not in PASSING and entry.said_at for key, entry in present.items()):
        return {}, None
    if not is_well:
        return {key: entry._replace(gone_at=None) for key, entry in of_subject.items()}, None
    fading = {key: entry._replace(gone_at=entry.gone_at or now) for key, entry in of_subject.items()}
    ended = max(entry.gone_at or now for entry in fading.values())
    if now - ended < rules.recovered_after:
        return fading, None
    if all(kind in NEVER_REMINDED for _subject, kind in of_subject):
        return {}, None
    first = min(entry.since for entry in of_subject.values())
    text = Text("{id} is running again, after {time}", id=subject, time=elapsed(ended - first))
    return {}, Alert(subject, next(iter(of_subject))[1], "good", text)


def as_json(book: Book) -> list[list[Any]]:
    """Return the content for the state file. An earlier version knows no amount that is left."""
    return [[*key, *entry[: 3 if entry.left is None else 4]] for key, entry in book.items()]


def cases_as_json(book: Book) -> list[list[Any]]:
    """Return which cases were reported, for a place of their own: an earlier version reads `as_json`."""
    return [[*key, *entry.cases] for key, entry in book.items() if entry.cases]


def from_json(raw: Iterable[Any], cases: Iterable[Any] = ()) -> dict[Key, Open]:
    """Parse the output of `as_json` and `cases_as_json`. Raises TypeError or ValueError if it is invalid."""
    reported = {(str(subject), kind): tuple(map(str, names)) for subject, kind, *names in cases}
    book: dict[Key, Open] = {}
    for subject, kind, since, said_at, gone_at, *rest in raw:
        if kind not in get_args(Kind):
            raise ValueError(kind)
        left = None if not rest else str(rest[0])
        key = (str(subject), kind)
        book[key] = Open(float(since), _time(said_at), _time(gone_at), left, reported.get(key, ()))
    return book


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
