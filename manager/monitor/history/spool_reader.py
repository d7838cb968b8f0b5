"""Read the lines that commands leave in the spool, each exactly once, even if `watch` is killed at any
moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manager.fleet import event_spool
from manager.fleet.event_spool import SpooledEvent
from manager.monitor.history.model import COMMAND_CODE, Event
from manager.typed import NamedTuple
from manager.util import strict_json

MOST_BYTES = 2 * event_spool.MAX_BYTES

Places = dict[str, int]
"""Which file, by its first line → how many bytes of it have been read."""


class Intake(NamedTuple):
    """Hold new events, and the places from which the next reading goes on: both are stored in one
    transaction.
    """

    events: list[Event]
    places: Places


def read(path: Path, places: Any) -> Intake:
    """Read what is new in the spool. A line that is not complete yet is left for the next time."""
    before: Places = places if isinstance(places, dict) else {}
    events: list[Event] = []
    after: Places = {}
    for file in (event_spool.older(path), path):
        content = _content(file)
        head, newline, _rest = content.partition(b"\n")
        if not newline:
            continue
        key = hashlib.sha256(head).hexdigest()[:16]
        begin = before.get(key, 0)
        begin = begin if isinstance(begin, int) and 0 <= begin <= len(content) else 0
        end = content.rfind(b"\n") + 1
        events += [
            _event(event) for line in content[begin:end].splitlines() if (event := event_spool.parsed(line))
        ]
        after[key] = max(begin, end)
    return Intake(events, after)


def everything(path: Path) -> Iterator[Event]:
    """Yield all events of the spool, for a fleet without a running `watch`."""
    yield from read(path, {}).events


def _content(file: Path) -> bytes:
    try:
        return strict_json.read_bytes(file, MOST_BYTES, follow=False)
    except OSError:
        return b""


def _event(spooled: SpooledEvent) -> Event:
    return Event(
        spooled.at,
        spooled.instance,
        "command" if spooled.is_done else "command failed",
        f"{spooled.command}: {spooled.what}{f' ({spooled.why})' if spooled.why else ''}",
        {"code": COMMAND_CODE, "params": {"command": spooled.command, **spooled.messages}}
        if isinstance(spooled.messages, dict)
        else None,
    )
