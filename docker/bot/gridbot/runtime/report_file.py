"""Write the report that the supervisor reads (docker/README.md, contract 2)."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridbot.runtime.log import log

# A bot that is killed leaves a report of this age at most, and none from before its last trade.
WRITE_EVERY_S = 60.0
# The manager tells other bots on the same account what this one holds.
WRITE_FOR_NEIGHBOURS_S = 5.0


class ReportFile:
    """Replace the report when the condition's code changes, after each trade, every minute, and at the end.

    A report that cannot be written is logged once and never stops the bot, because a full disk is no reason
    to leave orders in the market.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._code: str | None = None
        self._traded: tuple[Any, Any] | None = None
        self._written_at: float | None = None
        self._failed = False
        self.is_final = False

    def update(self, report: Mapping[str, Any], *, has_neighbours: bool = False) -> None:
        """Write `report` if it is due, which is sooner where other bots have to know of it."""
        code, now = report["condition"]["code"], time.monotonic()
        is_new, traded = code != self._code, (report.get("trades"), report.get("position"))
        every_s = WRITE_FOR_NEIGHBOURS_S if has_neighbours else WRITE_EVERY_S
        is_due = self._written_at is None or now - self._written_at >= every_s
        if is_new or is_due or traded != self._traded:
            self._code, self._traded, self._written_at = code, traded, now
            self.write(report, durable=is_new)

    def write(self, report: Mapping[str, Any], *, durable: bool = True) -> None:
        """Replace the file with `report`, whole or not at all. With `durable` it survives a power cut."""
        self.is_final = bool(report["final"])
        if self._path is None:
            return
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(json.dumps(report) + "\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            part.replace(self._path)
            self._failed = False
        except OSError as err:
            if not self._failed:
                log.warning("cannot write the report %s: %s", self._path, err)
            self._failed = True
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
