"""The part of the record that is only looked at: the equity curve and the errors."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from gridbot.store.database import LIVE
from gridbot.store.ledger import Ledger


class Samples:
    """Writes through the record's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._thinned_at = 0.0

    def add(self, run_id: int, at: float, price: Decimal, ledger: Ledger) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO equity VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at,
                run_id,
                float(price),
                float(ledger.position),
                float(ledger.pnl(price)),
                float(ledger.realized),
                float(ledger.fees),
            ),
        )

    def thin(self, now: float) -> None:
        """Once an hour: one sample a minute after a day and one an hour after a month, the last 1000 errors, and no
        ended orders without trades older than a week."""
        if now - self._thinned_at < 3600:
            return
        self._thinned_at = now
        for age, bucket in ((86400, 60), (30 * 86400, 3600)):
            self._db.execute(
                "DELETE FROM equity WHERE at < ?1 AND at NOT IN"
                " (SELECT max(at) FROM equity WHERE at < ?1 GROUP BY CAST(at / ?2 AS INTEGER))",
                (now - age, bucket),
            )
        self._db.execute("DELETE FROM errors WHERE id <= (SELECT max(id) FROM errors) - 1000")
        self._db.execute(
            f"DELETE FROM orders WHERE NOT ({LIVE}) AND filled = '0' AND updated_at < ?", (now - 7 * 86400,)
        )

    def last_price(self) -> Decimal | None:
        row = self._db.execute("SELECT price FROM equity ORDER BY at DESC LIMIT 1").fetchone()
        return Decimal(repr(row["price"])) if row else None

    def error(self, at: float, kind: str, message: str) -> None:
        """Count an error; the same one in a row is one row."""
        row = self._db.execute("SELECT id, kind, message FROM errors ORDER BY id DESC LIMIT 1").fetchone()
        if row and (row["kind"], row["message"]) == (kind, message):
            self._db.execute("UPDATE errors SET count = count + 1, last_at = ? WHERE id = ?", (at, row["id"]))
        else:
            self._db.execute(
                "INSERT INTO errors (first_at, last_at, kind, message) VALUES (?, ?, ?, ?)",
                (at, at, kind, message),
            )
