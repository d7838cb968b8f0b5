"""`state/watch.json`: what was said already and seen last, so that a restarted watch neither repeats it nor forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from manager import jsonfile
from manager.watch import book as books
from manager.watch import history as histories
from manager.watch.book import Key, Open
from manager.watch.history import History

SCHEMA = 1
MAX_BYTES = 16_000_000


class Saved(NamedTuple):
    """The whole file. `digest`: the day of the last daily report, ISO."""

    book: Mapping[Key, Open]
    history: History
    digest: str = ""


def load(path: Path) -> Saved | None:
    """What was saved; None where there is no file, or none of ours: its loss costs a repeated message."""
    try:
        found: Any = jsonfile.read(path, MAX_BYTES)
        if found["schema"] != SCHEMA:
            return None
        return Saved(
            books.from_json(found["open"]), histories.from_json(found["instances"]), str(found["digest"])
        )
    except (jsonfile.JsonFault, TypeError, ValueError, KeyError, AttributeError):
        return None


def save(path: Path, saved: Saved) -> None:
    """Writes it atomically. Raises OSError."""
    content = {
        "schema": SCHEMA,
        "open": books.as_json(saved.book),
        "instances": saved.history.as_json(),
        "digest": saved.digest,
    }
    jsonfile.write_atomically(path, content)
