"""`state/watch.json`: what was said already and seen last, so that a restarted watch neither repeats it nor forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from manager.monitor.watch import alert_state, history
from manager.monitor.watch.alert_state import Key, Open, Tone
from manager.monitor.watch.history import History
from manager.monitor.watch.messages import Message
from manager.util import atomic_file, strict_json

Waiting = Mapping[str, tuple[Message, ...]]
"""Reference of an address → messages; no address stands in a file."""
NONE_WAITING: Waiting = MappingProxyType({})

SCHEMA = 1
MAX_BYTES = 16_000_000


class Saved(NamedTuple):
    """The whole file. `digest`: the day of the last daily report, ISO. `waiting`: what each address is still to be sent."""

    book: Mapping[Key, Open]
    history: History
    digest: str = ""
    waiting: Waiting = NONE_WAITING


def load(path: Path) -> Saved | None:
    """What was saved; None where there is no file, or none of ours: its loss costs a repeated message."""
    try:
        found: Any = strict_json.read(path, MAX_BYTES)
        if found["schema"] != SCHEMA:
            return None
        return Saved(
            alert_state.from_json(found["open"]),
            history.from_json(found["instances"]),
            str(found["digest"]),
            {
                str(each): tuple(map(_message, messages))
                for each, messages in found.get("waiting", {}).items()
            },
        )
    except (strict_json.JsonFault, TypeError, ValueError, KeyError, AttributeError):
        return None


def _message(raw: Any) -> Message:
    title, body, tone = raw
    if tone not in get_args(Tone):
        raise ValueError(tone)
    return Message(str(title), str(body), tone)


def save(path: Path, saved: Saved) -> None:
    """Writes it atomically. Raises OSError."""
    content = {
        "schema": SCHEMA,
        "open": alert_state.as_json(saved.book),
        "instances": saved.history.as_json(),
        "digest": saved.digest,
        "waiting": dict(saved.waiting),
    }
    atomic_file.write_atomically(path, content)
