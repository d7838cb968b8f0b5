"""Know how a run goes, for its report: read from all of its record, and therefore not often."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from gridbot.runtime.log import log
from gridbot.store import history

# Not this often where reading takes longer than a moment, so that it costs no more than the second's inverse
# of a core.
EVERY_S, REST = 60.0, 10_000.0


class RunFigures:
    """Hold what was read last, nothing before the first time."""

    def __init__(self, path: Path) -> None:
        self.values: Mapping[str, float | None] = {}
        self._path = path
        self._read_at = self._pause = 0.0

    def refresh(self, now: float) -> None:
        """Read them when it is time to; the clock may be set back."""
        if 0 <= now - self._read_at < self._pause:
            return
        began = time.monotonic()
        self.values, self._read_at = history.figures(self._path), now
        self._pause = max(EVERY_S, REST * (time.monotonic() - began))

    def read_last(self) -> None:
        """Read them for the report that outlives the bot: nobody can ask it afterwards."""
        try:
            self.values = history.figures(self._path)
        except sqlite3.Error as err:
            log.warning("how the run went cannot be read: %s", err)
