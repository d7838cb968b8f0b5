"""Know a run's highest P&L and its deepest fall below it: of every tick, not only of the samples."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from gridbot.model.types import ZERO
from gridbot.store.whole_run import whole_run

# The name under which a run keeps it, and until when that counts: points of the equity curve that are newer
# were written by a program or a version of the bot that does not know of it.
DRAWDOWN = "drawdown"


@dataclass(slots=True)
class Drawdown:
    """Hold the highest P&L so far, that of the start included, and the deepest fall below it."""

    peak: Decimal = ZERO
    deepest: Decimal = ZERO

    def note(self, low: Decimal, high: Decimal) -> bool:
        """Count a P&L that is known to be between these two. Return whether that changed anything."""
        if low > self.peak:
            self.peak = low
            return True
        if self.peak - high > self.deepest:
            self.deepest = self.peak - high
            return True
        return False


def read_drawdown(db: sqlite3.Connection, run_id: int) -> Drawdown | None:
    """Return that of a run, None before its first point. Without a kept one its points are all there is."""
    kept = db.execute("SELECT value FROM facts WHERE run_id = ? AND name = ?", (run_id, DRAWDOWN)).fetchone()
    if kept is None:
        whole = whole_run(db, run_id)
        if whole["drawdown"] is None:
            return None
        return Drawdown(Decimal(repr(whole["peak"])), Decimal(repr(whole["drawdown"])))
    raw = json.loads(kept[0])
    drawdown = Drawdown(Decimal(raw["peak"]), Decimal(raw["deepest"]))
    newer = "SELECT pnl FROM equity WHERE run_id = ? AND at > ? ORDER BY at"
    for row in db.execute(newer, (run_id, raw["until"])):
        pnl = Decimal(repr(row[0]))
        drawdown.note(pnl, pnl)
    return drawdown


def keep_drawdown(db: sqlite3.Connection, run_id: int, drawdown: Drawdown, until: float) -> None:
    """Keep it for the restarts to come, and for when the points are deleted."""
    value = json.dumps({"peak": str(drawdown.peak), "deepest": str(drawdown.deepest), "until": until})
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (run_id, DRAWDOWN, value))
