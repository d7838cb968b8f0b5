"""Write the equity curve and the errors, which no decision depends on."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import NamedTuple

from gridbot.model.types import ZERO
from gridbot.store.database import LIVE, transaction
from gridbot.store.drawdown import Drawdown, keep_drawdown, read_drawdown
from gridbot.store.ledger import Ledger
from gridbot.store.whole_run import keep, whole_run


class Mark(NamedTuple):
    """Hold what a run's position was last valued at, and when."""

    at: float
    price: Decimal


class Samples:
    """Write through the store's connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._thinned_at = 0.0

    def at_once(self) -> AbstractContextManager[None]:
        """Commit all that the block writes to the file, or none of it: that takes one sync, not several."""
        return transaction(self._db)

    def add_equity(
        self, run_id: int, at: float, price: Decimal, ledger: Ledger, funding: Decimal = ZERO
    ) -> None:
        """Add a point of the equity curve. Its P&L contains `funding`, as that of the report does."""
        self._db.execute(
            "INSERT OR REPLACE INTO equity VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at,
                run_id,
                float(price),
                float(ledger.position),
                float(ledger.pnl(price) + funding),
                float(ledger.realized),
                float(ledger.fees),
            ),
        )

    def drawdown(self, run_id: int) -> Drawdown | None:
        """Return the run's drawdown until now, None before its first point."""
        return read_drawdown(self._db, run_id)

    def keep_drawdown(self, run_id: int, drawdown: Drawdown, until: float) -> None:
        """Keep the run's drawdown, which its points up to `until` are in."""
        keep_drawdown(self._db, run_id, drawdown, until)

    def thin_out(self, now: float) -> None:
        """Delete old rows, once an hour.

        Kept are one sample of a run a minute after a day, one an hour after a month, the last 1000 errors,
        and closed orders without trades for a week. What the run's figures need of them is kept apart.
        """
        if 0 <= now - self._thinned_at < 3600:
            return
        self._thinned_at = now
        latest = self._db.execute("SELECT max(id) FROM runs").fetchone()[0]
        if latest is None:
            return
        with transaction(self._db):
            before = whole_run(self._db, latest)
            self._delete_old(now)
            keep(self._db, latest, before)

    def _delete_old(self, now: float) -> None:
        for age, bucket in ((86400, 60), (30 * 86400, 3600)):
            self._db.execute(
                "DELETE FROM equity WHERE at < ?1 AND at NOT IN"
                " (SELECT max(at) FROM equity WHERE at < ?1 GROUP BY run_id, CAST(at / ?2 AS INTEGER))",
                (now - age, bucket),
            )
        self._db.execute("DELETE FROM errors WHERE id <= (SELECT max(id) FROM errors) - 1000")
        self._db.execute(
            f"DELETE FROM orders WHERE NOT ({LIVE}) AND filled = '0' AND updated_at < ?", (now - 7 * 86400,)
        )

    def last_price(self) -> Decimal | None:
        """Return the latest sample's price."""
        row = self._db.execute("SELECT price FROM equity ORDER BY at DESC LIMIT 1").fetchone()
        return Decimal(repr(row["price"])) if row else None

    def last_mark(self, run_id: int) -> Mark | None:
        """Return what the run's position was last valued at; None where the run never got a price."""
        row = self._db.execute(
            "SELECT at, price FROM equity WHERE run_id = ? ORDER BY at DESC LIMIT 1", (run_id,)
        ).fetchone()
        return Mark(row["at"], Decimal(repr(row["price"]))) if row else None

    def add_error(self, at: float, kind: str, message: str) -> None:
        """Count an error. Repetitions of the latest one share its row."""
        row = self._db.execute("SELECT id, kind, message FROM errors ORDER BY id DESC LIMIT 1").fetchone()
        if row and (row["kind"], row["message"]) == (kind, message):
            self._db.execute("UPDATE errors SET count = count + 1, last_at = ? WHERE id = ?", (at, row["id"]))
        else:
            self._db.execute(
                "INSERT INTO errors (first_at, last_at, kind, message) VALUES (?, ?, ?, ?)",
                (at, at, kind, message),
            )
