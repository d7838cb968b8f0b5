"""Read and write `state/watch.json`: what was reported and observed, so that a restarted watch continues from
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from manager.monitor.watch import alert_state, history
from manager.monitor.watch.alert_state import Key, Open, Tone
from manager.monitor.watch.history import History
from manager.monitor.watch.messages import Message
from manager.typed import NamedTuple
from manager.util import atomic_file, strict_json

Waiting = Mapping[str, tuple[Message, ...]]
"""Reference of an address → messages; the file contains no addresses."""
NONE_WAITING: Waiting = MappingProxyType({})

Halted = tuple[str, str, str]
"""Subject, kind and day of a loss limit."""
MOST_HALTED = 100

SCHEMA = 1
MAX_BYTES = 16_000_000


class Saved(NamedTuple):
    """Hold the whole file.

    `digest`: day of the last daily report, ISO. `waiting`: unsent messages by address.
    `delivered_at`: Unix time at which a receiver has last accepted a message; None where it is not known.
    `halted`: for which loss limits, and of which days, there was a halt; None in an earlier version's file.
    """

    book: Mapping[Key, Open]
    history: History
    digest: str = ""
    waiting: Waiting = NONE_WAITING
    delivered_at: float | None = None
    halted: frozenset[Halted] | None = frozenset()


def load(path: Path) -> Saved | None:
    """Return the saved state; None if there is none that can be used, which only repeats messages."""
    try:
        content: Any = strict_json.read(path, MAX_BYTES)
        if content["schema"] != SCHEMA:
            return None
        return Saved(
            alert_state.from_json(content["open"], content.get("cases", ())),
            history.from_json(content["instances"]),
            str(content["digest"]),
            {
                str(reference): tuple(map(_message, messages))
                for reference, messages in content.get("waiting", {}).items()
            },
            _time(content.get("delivered_at")),
            _halted(content.get("halted")),
        )
    except (strict_json.JsonFault, TypeError, ValueError, KeyError, AttributeError):
        return None


def _time(raw: Any) -> float | None:
    return None if raw is None else float(raw)


def _halted(raw: Any) -> frozenset[Halted] | None:
    if raw is None:
        return None
    return frozenset((str(subject), str(kind), str(day)) for subject, kind, day in raw)


def _message(raw: Any) -> Message:
    title, body, tone = raw
    if tone not in get_args(Tone):
        raise ValueError(tone)
    return Message(str(title), str(body), tone)


def save(path: Path, saved: Saved) -> None:
    """Write the file atomically. Raises OSError."""
    content = {
        "schema": SCHEMA,
        "open": alert_state.as_json(saved.book),
        "cases": alert_state.cases_as_json(saved.book),
        "instances": saved.history.as_json(),
        "digest": saved.digest,
        "waiting": dict(saved.waiting),
        "delivered_at": saved.delivered_at,
        "halted": sorted(saved.halted or ()),
    }
    atomic_file.write_atomically(path, content)
