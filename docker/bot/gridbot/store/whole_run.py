"""Know of a run what its rows alone no longer tell, because old ones are deleted."""

from __future__ import annotations

import json
import sqlite3
from typing import TypedDict

# The name under which a run keeps what its deleted rows were.
DELETED = "deleted"
# A point is compared with the highest one before it, which may be a deleted one.
DRAWDOWN = (
    "SELECT max(peak - pnl) FROM (SELECT pnl, max(0, max(pnl) OVER (ORDER BY at),"
    " CASE WHEN at >= ?3 THEN ?2 ELSE 0 END) AS peak FROM equity WHERE run_id = ?1)"
)
PEAK = "SELECT pnl, at FROM equity WHERE run_id = ? ORDER BY pnl DESC, at LIMIT 1"
FIRST_PRICE = "SELECT price FROM equity WHERE run_id = ? ORDER BY at LIMIT 1"
# What was held between two points is in the trades, which are never deleted.
POSITION = (
    "SELECT max(abs(position)) FROM (SELECT position FROM equity WHERE run_id = ?1"
    " UNION ALL SELECT CAST(position AS REAL) FROM trades WHERE run_id = ?1)"
)
ORDERS = "SELECT count(*), total(state = 'rejected') FROM orders WHERE run_id = ?"


class WholeRun(TypedDict):
    """Hold what all points and orders of a run come to. None, and no peak, before the first point."""

    drawdown: float | None
    peak: float
    peak_at: float
    price: float | None
    position: float | None
    orders: int
    refused: int


NOTHING = WholeRun(drawdown=None, peak=0.0, peak_at=0.0, price=None, position=None, orders=0, refused=0)


def whole_run(db: sqlite3.Connection, run_id: int) -> WholeRun:
    """Return what a run's rows come to, deleted ones included: the first price, the largest position."""
    kept = _kept(db, run_id)
    [drawdown] = db.execute(DRAWDOWN, (run_id, kept["peak"], kept["peak_at"])).fetchone()
    peak, peak_at = db.execute(PEAK, (run_id,)).fetchone() or (0.0, 0.0)
    [price] = db.execute(FIRST_PRICE, (run_id,)).fetchone() or (None,)
    [position] = db.execute(POSITION, (run_id,)).fetchone()
    orders, refused = db.execute(ORDERS, (run_id,)).fetchone()
    is_higher = peak > kept["peak"]
    return WholeRun(
        drawdown=_largest(drawdown, kept["drawdown"]),
        peak=peak if is_higher else kept["peak"],
        peak_at=peak_at if is_higher else kept["peak_at"],
        price=price if kept["price"] is None else kept["price"],
        position=_largest(position, kept["position"]),
        orders=orders + kept["orders"],
        refused=int(refused) + kept["refused"],
    )


def keep(db: sqlite3.Connection, run_id: int, before: WholeRun) -> None:
    """Keep what `whole_run` said `before` rows of the run were deleted."""
    orders, refused = db.execute(ORDERS, (run_id,)).fetchone()
    gone = {"orders": before["orders"] - orders, "refused": before["refused"] - int(refused)}
    value = json.dumps({**before, **gone})
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (run_id, DELETED, value))


def _kept(db: sqlite3.Connection, run_id: int) -> WholeRun:
    row = db.execute("SELECT value FROM facts WHERE run_id = ? AND name = ?", (run_id, DELETED)).fetchone()
    if row is None:
        return NOTHING
    kept: WholeRun = json.loads(row[0])
    return kept


def _largest(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)
