"""Open the SQLite file: schema, lock, one connection that writes (the loop), others that read (the web)."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from gridbot.model.errors import DatabaseError

# Tables that were added later (facts, funding) are made where they are missing. An older bot does not look
# at them and goes on with the file, so a rollback needs no older copy.
SCHEMA_VERSION = 1
# The names under which a run that took over a position keeps what the price had made of it by its begin, and
# since when no run had looked at it.
OPENING_PNL, HELD_SINCE = "opening_pnl", "held_since"
# The name under which a run keeps base and quote of its market.
CURRENCIES = "currencies"
# The name under which a run keeps that its position is being closed from outside: what its cells hold may be
# gone, so the next start begins a new run.
CLOSING = "closing_from_outside"
LIVE = "state IN ('new', 'open')"
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, started_at REAL NOT NULL, ended_at REAL, ended_why TEXT,
  identity TEXT NOT NULL, source TEXT NOT NULL, settings TEXT NOT NULL, ran_s REAL NOT NULL DEFAULT 0,
  paused INTEGER NOT NULL DEFAULT 0, closing TEXT, grid TEXT, ledger TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (
  run_id INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS funding (
  id TEXT PRIMARY KEY, run_id INTEGER NOT NULL, at REAL NOT NULL, amount TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cells (
  run_id INTEGER NOT NULL, generation INTEGER NOT NULL, cell INTEGER NOT NULL, qty TEXT NOT NULL,
  PRIMARY KEY (run_id, generation, cell)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  client_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, generation INTEGER NOT NULL, slot TEXT NOT NULL,
  cell INTEGER, side TEXT NOT NULL, price TEXT NOT NULL, qty TEXT NOT NULL, filled TEXT NOT NULL DEFAULT '0',
  post_only INTEGER NOT NULL, market INTEGER NOT NULL, reduce_only INTEGER NOT NULL, state TEXT NOT NULL,
  exchange_id TEXT, created_at REAL NOT NULL, updated_at REAL NOT NULL, note TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS one_live_order_a_slot ON orders (slot) WHERE state IN ('new', 'open');
CREATE INDEX IF NOT EXISTS orders_by_exchange_id ON orders (exchange_id);
CREATE TABLE IF NOT EXISTS trades (
  trade_id TEXT NOT NULL, exchange_id TEXT NOT NULL, client_id INTEGER NOT NULL, run_id INTEGER NOT NULL,
  at REAL NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, qty TEXT NOT NULL, fee TEXT NOT NULL,
  fee_currency TEXT NOT NULL, maker INTEGER NOT NULL, position TEXT NOT NULL, realized TEXT NOT NULL,
  PRIMARY KEY (trade_id, exchange_id));
CREATE INDEX IF NOT EXISTS trades_by_time ON trades (at);
CREATE TABLE IF NOT EXISTS equity (
  at REAL PRIMARY KEY, run_id INTEGER NOT NULL, price REAL NOT NULL, position REAL NOT NULL,
  pnl REAL NOT NULL, realized REAL NOT NULL, fees REAL NOT NULL);
CREATE TABLE IF NOT EXISTS errors (
  id INTEGER PRIMARY KEY, first_at REAL NOT NULL, last_at REAL NOT NULL, count INTEGER NOT NULL DEFAULT 1,
  kind TEXT NOT NULL, message TEXT NOT NULL);
"""


def open_for_writing(path: Path, *, durable: bool) -> tuple[sqlite3.Connection, int]:
    """Open or create the file and lock it. Return the connection and the lock's descriptor.

    With `durable` every commit reaches the disk before it returns, so that in live mode no order exists
    without its row. Raises DatabaseError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseError(f"cannot use {path}: another bot is running on it") from None
        db = sqlite3.connect(path, isolation_level=None, timeout=10)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise DatabaseError(f"cannot use {path}: it was written by a newer version of this bot")
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except (sqlite3.Error, OSError) as err:
        raise DatabaseError(f"cannot use {path}: {err}") from err
    return db, lock


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection for the length of the block."""
    file = Path(os.path.realpath(path))
    # In a folder that is read-only, SQLite cannot make the log that a database lacks which was closed.
    is_at_rest = not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()
    options = "mode=ro&immutable=1" if is_at_rest else "mode=ro"
    db = sqlite3.connect(f"{file.as_uri()}?{options}", uri=True, timeout=5)
    db.row_factory = sqlite3.Row
    try:
        yield db
    finally:
        db.close()


def latest_fact(db: sqlite3.Connection, name: str) -> str | None:
    """Return what the latest run has stored under this name; None for a record of a version without facts."""
    query = "SELECT value FROM facts WHERE name = ? AND run_id = (SELECT max(id) FROM runs)"
    try:
        row = db.execute(query, (name,)).fetchone()
    except sqlite3.OperationalError:
        return None
    return None if row is None else str(row[0])


def latest_identity(db: sqlite3.Connection) -> str | None:
    """Return what the latest run trades, None without one. Raises sqlite3.Error."""
    row = db.execute("SELECT identity FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else str(row["identity"])


def latest_grid(db: sqlite3.Connection) -> dict[str, Any] | None:
    """Return the grid that a start goes on with, None without one. Raises sqlite3.Error.

    A run that has ended, or of which a position is being closed from outside, is not gone on with.
    """
    row = db.execute("SELECT grid, ended_at FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    if row is None or row["ended_at"] is not None or row["grid"] is None:
        return None
    if latest_fact(db, CLOSING):
        return None
    try:
        return dict(json.loads(row["grid"]))
    except (ValueError, TypeError) as err:
        raise sqlite3.DatabaseError(f"the last run's grid cannot be read: {err}") from err


def recorded_position(db: sqlite3.Connection) -> Decimal:
    """Return what the latest run's trades make. Raises sqlite3.Error where that cannot be read."""
    row = db.execute("SELECT ledger FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    try:
        return Decimal(0) if row is None else Decimal(json.loads(row["ledger"])["position"])
    except (ValueError, LookupError, TypeError, InvalidOperation) as err:
        raise sqlite3.DatabaseError(f"the last run's ledger cannot be read: {err}") from err


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit all of the block's statements, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
