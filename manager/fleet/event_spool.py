"""Append what commands did to instances, one JSON line each, for the history of `watch`.

Commands never wait or fail for it: a full disk, a missing folder or a file of another user costs a line of
history, and prevents no stop.
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.typed import NamedTuple
from manager.util import kept_text, ownership
from manager.util.trusted_folder import open_in_trusted, trusted

MAX_BYTES = 4_000_000
"""Limit of one file.

A full one is kept beside the next, so that both take twice as much, even without `watch`.
"""
MAX_LINE = 4000
"""Shorter than a pipe's buffer, and written by one call, so that lines of several commands do not mix."""
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class SpooledEvent(NamedTuple):
    """Hold one line.

    `what`: the action, such as `stop`; `why`: the error of one that failed, else the cause that it had; both
    in English. `messages`: the same two as `kept_text` keeps them, for readers of other languages.
    """

    at: float
    command: str
    instance: str
    what: str
    is_done: bool
    why: str = ""
    messages: object = None


def older(path: Path) -> Path:
    """Return where the file goes that is full."""
    return path.with_name(f"{path.stem}.old{path.suffix}")


def note(fleet: Fleet, events: Iterable[SpooledEvent]) -> None:
    """Append the events. Raises nothing."""
    data = b"".join(map(_line, events))
    if data:
        with suppress(OSError):
            _append(fleet.event_spool_file, data)


def happened(command: str, instance: str, action: object, why: object, *, is_done: bool) -> SpooledEvent:
    """Return the event of this moment. `action`, `why`: messages, or words that no language changes."""
    why = why or ""
    messages = {"what": kept_text.kept(action), "why": kept_text.kept(why)}
    what, cause = kept_text.english(action), kept_text.english(why)
    return SpooledEvent(time.time(), command, instance, what, is_done, cause, messages)


def _line(event: SpooledEvent) -> bytes:
    fields = event._asdict()
    messages = fields.pop("messages")
    whole = {**fields, "why": event.why[:1000], "said": messages}
    for content in (whole, {**whole, "said": None}, {**whole, "said": None, "why": ""}):
        line = json.dumps(content).encode()
        if len(line) < MAX_LINE:
            break
    return line[: MAX_LINE - 1] + b"\n"


def _append(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    descriptor = open_in_trusted(path, FLAGS, 0o644)
    try:
        if is_new and (owner := ownership.inherited_owner(path)):
            os.fchown(descriptor, *owner)
        os.write(descriptor, data)
        is_full = os.fstat(descriptor).st_size > MAX_BYTES
    finally:
        os.close(descriptor)
    if is_full:
        with trusted(path.parent) as folder:
            full = folder / path.name
            full.replace(older(full))


def parsed(line: bytes) -> SpooledEvent | None:
    """Return the event of a line; None for one that a full disk has cut, or that is none."""
    if len(line) > MAX_LINE:
        return None  # no command writes one
    try:
        raw = json.loads(line)
        event = SpooledEvent(
            float(raw["at"]),
            str(raw["command"]),
            str(raw["instance"]),
            str(raw["what"]),
            raw["is_done"] is True,
            str(raw.get("why", "")),
            raw.get("said"),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return event if 0 < event.at < 1e11 else None
