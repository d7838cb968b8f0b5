"""Find what belongs on a curve: starts and exits of the bot, and times in which it could not trade. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from manager.fleet.doing import STATE_SEVERITY
from manager.monitor.history.model import STATE_CODE, Event
from manager.monitor.history.reader import InstanceHistory
from manager.monitor.history.summary import event_text
from manager.typed import NamedTuple

What = Literal["start", "exit", "outage"]

AWAY = "exchange away"
MOST = 200
"""More cannot be told apart on a curve: the newest ones stay."""


class Mark(NamedTuple):
    """Hold one moment, or a time up to `until`; None while it goes on. `event` tells what happened."""

    at: float
    what: What
    instance: str
    event: Event | None = None
    until: float | None = None


def as_object(mark: Mark) -> dict[str, Any]:
    """Return a mark as JSON, in the reader's language: figures are made before anybody reads them."""
    return {
        "at": mark.at,
        "what": mark.what,
        "instance": mark.instance,
        "text": "" if mark.event is None else event_text(mark.event),
        "until": mark.until,
    }


def of_instance(history: InstanceHistory, begin: float, end: float) -> list[Mark]:
    """Return the marks of one instance between these moments, oldest first."""
    marks = [*_starts(history), *_exits(history.events), *_outages(history.events)]
    shown = [mark for mark in marks if mark.at <= end and (mark.until or mark.at) >= begin]
    shown += [mark for mark in marks if mark.what == "outage" and mark.until is None and mark.at < begin]
    return newest(shown)


def newest(marks: Iterable[Mark]) -> list[Mark]:
    """Return the newest marks, as many as can be told apart, oldest first."""
    return sorted(marks, key=lambda mark: mark.at)[-MOST:]


def _starts(history: InstanceHistory) -> Iterator[Mark]:
    """Yield each start of the bot's process that followed another."""
    known: float | None = None
    for sample in history.samples:
        if sample.start is None or sample.start == known:
            continue
        if known is not None:
            yield Mark(sample.start, "start", history.instance)
        known = sample.start


def _exits(events: Sequence[Event]) -> Iterator[Mark]:
    for event in events:
        if event.what == "exit":
            yield Mark(event.at, "exit", event.instance, event)


def _outages(events: Sequence[Event]) -> Iterator[Mark]:
    """Yield the times in which the bot, or its exchange, was away."""
    begun: Event | None = None
    for event in events:
        if event.what != "state":
            continue
        if begun is not None:
            yield Mark(begun.at, "outage", begun.instance, begun, event.at)
        begun = event if _is_outage(event) else None
    if begun is not None:
        yield Mark(begun.at, "outage", begun.instance, begun)


def _is_outage(event: Event) -> bool:
    reason: Any = event.reason if isinstance(event.reason, dict) else {}
    params = reason.get("params")
    if reason.get("code") != STATE_CODE or not isinstance(params, dict):
        return False
    severity = STATE_SEVERITY.get(params.get("state", ""))
    return params.get("doing") == AWAY or severity in {"bad", "warn"}
