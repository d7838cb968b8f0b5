"""Read charts, trades and errors for the page and the API, in the web threads."""

from __future__ import annotations

import json
import sqlite3
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from gridbot.store.database import OPENING_PNL, open_for_reading
from gridbot.store.drawdown import read_drawdown
from gridbot.store.whole_run import whole_run

POINTS = 480
# Fills of one side at one price that would be drawn on top of each other are merged.
FILL_BUCKETS = 160
MOST_FILLS = 1500
YEAR_S, APR_AFTER_S = 365 * 86400, 3600
# As old, as far apart: what the thinning of the samples leaves.
THINNED = ((86400.0, 60.0), (30 * 86400.0, 3600.0))
GAP_INTERVALS, GAP_LEAST_S = 3, 15.0
# A trade closes something if it makes the position smaller: at its average price too, for a profit of 0. Of
# the first trade of a run, which may have taken a position over, only the profit tells.
CLOSING_TRADES = """
SELECT count(*) FROM (
  SELECT side, realized, CAST(lag(position) OVER (ORDER BY rowid) AS REAL) AS before
  FROM trades WHERE run_id = ?)
WHERE CASE WHEN before IS NULL THEN realized != '0'
  ELSE before > 0 AND side = 'sell' OR before < 0 AND side = 'buy' END
"""


def chart_data(path: Path, hours: float, interval: float = 0.0) -> dict[str, Any]:
    """Return prices, P&L and fills of the last `hours` hours of the current run, in about `POINTS` points.

    `points` are lists of time, price, lowest, highest, P&L and position; `fills` are lists of time, side,
    price and quantity; `gaps` are lists of the times between which nothing is known: the bot did not run, or
    had no price. `interval`: seconds between two ticks.
    """
    now = time.time()
    with open_for_reading(path) as db:
        run = db.execute("SELECT id FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        run_id = run["id"] if run else 0
        first = db.execute(
            "SELECT min(at) FROM equity WHERE at >= ? AND run_id = ?", (now - hours * 3600, run_id)
        ).fetchone()[0]
        start = now if first is None else float(first)
        bucket = max((now - start) / POINTS, 0.5)
        # With max(at) SQLite takes the bare columns from the row that has it, which is the bucket's last.
        points = db.execute(
            "SELECT max(at) AS at, price, min(price) AS low, max(price) AS high, pnl, position FROM equity"
            " WHERE at >= ?1 AND run_id = ?2 GROUP BY CAST((at - ?1) / ?3 AS INTEGER) ORDER BY 1",
            (start, run_id, bucket),
        ).fetchall()
        fills = db.execute(
            "SELECT max(at) AS at, side, CAST(price AS REAL) AS price, sum(CAST(qty AS REAL)) AS qty"
            " FROM trades WHERE at >= ?1 AND run_id = ?2"
            " GROUP BY CAST((at - ?1) / ?3 AS INTEGER), side, price ORDER BY 1 DESC LIMIT ?4",
            (start - 1, run_id, max((now - start) / FILL_BUCKETS, 0.5), MOST_FILLS),
        )
        return {
            "from": round(start, 3),
            "to": round(now, 3),
            "points": [
                [round(r["at"], 2), r["price"], r["low"], r["high"], round(r["pnl"], 8), r["position"]]
                for r in points
            ],
            "gaps": gaps([r["at"] for r in points], now, max(bucket, interval)),
            "fills": [[round(r["at"], 2), r["side"], float(r["price"]), float(r["qty"])] for r in fills][
                ::-1
            ],
        }


def gaps(times: list[float], now: float, interval: float) -> list[list[float]]:
    """Return the times between which there should be points, and are none; the last one may go on until now.

    `times`: those of the points, in order; `interval`: how far apart they are where none is missing.
    """
    spans = []
    for before, after in pairwise([*times, now]):
        apart = max([interval, *(step for age, step in THINNED if now - before > age)])
        if after - before > max(GAP_INTERVALS * apart, GAP_LEAST_S):
            spans.append([round(before, 2), round(after, 2)])
    return spans


def trades(path: Path, limit: int, before: float | None = None) -> list[dict[str, Any]]:
    """Return the latest trades, newest first, with exact amounts as text."""
    with open_for_reading(path) as db:
        rows = db.execute(
            "SELECT at, side, price, qty AS quantity, fee, fee_currency, maker, position, realized,"
            " trade_id,"
            " exchange_id FROM trades WHERE at < ? ORDER BY at DESC LIMIT ?",
            (before if before is not None else float("inf"), limit),
        )
        return [_plain(row) for row in rows]


def errors(path: Path, limit: int) -> list[dict[str, Any]]:
    """Return the latest errors, newest first. Repetitions of one error are one entry with a count."""
    with open_for_reading(path) as db:
        rows = db.execute(
            "SELECT first_at, last_at, count, kind, message FROM errors ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [_plain(row) for row in rows]


def error_count(path: Path) -> int:
    """Return the number of errors, repetitions counted."""
    with open_for_reading(path) as db:
        return int(db.execute("SELECT coalesce(sum(count), 0) FROM errors").fetchone()[0])


def figures(path: Path) -> dict[str, float | None]:
    """Return how the latest run goes: shares of 1, the drawdown in the quote currency; None is unknown yet.

    Rounded to eight digits, so that report, page and metrics show the same.

    `max_drawdown` is the deepest fall of the P&L below its highest point, also where that was the start:
    that of each tick, and of the points only in a run of a version that noted no more.
    `profit_per_grid` is the mean profit of a trade that closed something, after all fees; `apr` the profit a
    year as a share of what the largest position was worth at the run's first price, None under an hour; what
    the price did before the run began is in no share of a year.
    """
    with open_for_reading(path) as db:
        run = db.execute("SELECT id, ran_s, ledger FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        run_id = run["id"] if run else 0
        ledger = json.loads(run["ledger"]) if run else {}
        closing = db.execute(CLOSING_TRADES, (run_id,)).fetchone()[0]
        latest = db.execute(
            "SELECT pnl FROM equity WHERE run_id = ? ORDER BY at DESC LIMIT 1", (run_id,)
        ).fetchone()
        maker = db.execute("SELECT avg(maker) AS share FROM trades WHERE run_id = ?", (run_id,)).fetchone()
        opening = db.execute(
            "SELECT CAST(value AS REAL) AS pnl FROM facts WHERE run_id = ? AND name = ?",
            (run_id, OPENING_PNL),
        ).fetchone()
        whole, drawdown = whole_run(db, run_id), read_drawdown(db, run_id)
    capital = (whole["position"] or 0) * (whole["price"] or 0)
    exact = {
        "maker_share": maker["share"],
        "reject_rate": whole["refused"] / whole["orders"] if whole["orders"] else None,
        "max_drawdown": None if drawdown is None else float(drawdown.deepest),
        "profit_per_grid": (
            float((Decimal(ledger["realized"]) - Decimal(ledger["fees"])) / closing) if closing else None
        ),
        "apr": (
            (latest["pnl"] - (opening["pnl"] if opening else 0)) / capital * YEAR_S / run["ran_s"]
            if run and run["ran_s"] >= APR_AFTER_S and capital
            else None
        ),
    }
    return {name: None if value is None else round(value, 8) for name, value in exact.items()}


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {key: bool(row[key]) if key == "maker" else row[key] for key in row.keys()}  # noqa: SIM118
