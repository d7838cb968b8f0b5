"""Store the fleet's history in SQLite: its schema, one writer, many readers."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from manager.errors import ManagerError
from manager.monitor.history.model import Event, Run, Sample, Span, Trade
from manager.util import ownership
from manager.util.formatting import stamp

APPLICATION = 0x626F7466
"""“botf”: a file that bears another number, and tables, is another program's."""
VERSION = 1
BUSY_MS = 2000
PAGE = 4096
FREE_PAGES = 2000
"""Given back to the file system at once after old rows went."""
SIDE_FILES = ("-wal", "-shm")

SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
  instance TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, doing TEXT, kind TEXT NOT NULL, run REAL,
  start REAL, quote TEXT, base TEXT, pnl TEXT, realized TEXT, fees TEXT, position TEXT, price TEXT,
  trades INTEGER, from_bot INTEGER NOT NULL, PRIMARY KEY (instance, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, instance TEXT NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL,
  reason TEXT);
CREATE INDEX IF NOT EXISTS samples_by_time ON samples (at);
CREATE INDEX IF NOT EXISTS events_by_instance ON events (instance, at);
CREATE TABLE IF NOT EXISTS trades (
  instance TEXT NOT NULL, trade_id TEXT NOT NULL, order_id TEXT NOT NULL, at REAL NOT NULL,
  exchange TEXT NOT NULL, symbol TEXT NOT NULL, kind TEXT NOT NULL, side TEXT NOT NULL,
  price TEXT NOT NULL, quantity TEXT NOT NULL, fee TEXT NOT NULL, fee_currency TEXT NOT NULL,
  is_maker INTEGER NOT NULL, position TEXT, realized TEXT,
  PRIMARY KEY (instance, trade_id, order_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  instance TEXT NOT NULL, began REAL NOT NULL, ended REAL, why TEXT NOT NULL, kind TEXT NOT NULL,
  PRIMARY KEY (instance, began)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watched (begin REAL PRIMARY KEY, end REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filled (
  instance TEXT NOT NULL, begin REAL NOT NULL, end REAL NOT NULL,
  PRIMARY KEY (instance, begin)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class HistoryTooNew(ManagerError):
    """Signal that a newer manager has written the file: nothing is written to it, and nothing is put
    aside.
    """


class NotOurs(Exception):
    """Signal that a file is damaged, or another program's."""


def _too_new(path: Path) -> HistoryTooNew:
    return HistoryTooNew(
        "{path} was written by a newer version of botfleet: use that one, or move the file away to begin a"
        " new history",
        path=path,
    )


def open_for_writing(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Open or create the file. Returns the connection, and where a file went that is damaged or none of ours.

    Raises HistoryTooNew, sqlite3.Error and OSError.
    """
    try:
        return _opened(path), None
    except NotOurs:
        aside = _put_aside(path)
        return _opened(path), aside


def _opened(path: Path) -> sqlite3.Connection:
    if path.exists() and not path.is_file():
        raise NotOurs
    is_new = not path.exists()
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        _require_ours(db, path)
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA journal_size_limit={PAGE * FREE_PAGES}")
        db.execute(f"PRAGMA application_id={APPLICATION}")
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version={VERSION}")
    except sqlite3.DatabaseError as error:
        db.close()
        if is_damage(error):
            raise NotOurs from error
        raise
    except BaseException:
        db.close()
        raise
    if is_new:
        for suffix in ("", *SIDE_FILES):
            with suppress(OSError):
                ownership.give_to_folder_owner(Path(f"{path}{suffix}"))
    return db


def _require_ours(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    is_empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != APPLICATION and not (application == 0 and is_empty):
        raise NotOurs
    if version > VERSION:
        raise _too_new(path)
    if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise NotOurs


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether SQLite says that the file is no sound database, which trying again does not change."""
    name = getattr(error, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"))


def _put_aside(path: Path) -> Path:
    """Give the file, with what belongs to it, another name. Raises OSError."""
    aside = path.with_name(f"{path.name}.aside-{stamp(time.time())}-{os.urandom(2).hex()}")
    path.rename(aside)
    for suffix in SIDE_FILES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for reading, beside its writer.

    Raises HistoryTooNew, NotOurs, FileNotFoundError and sqlite3.Error.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    if not path.is_file():
        raise NotOurs
    db = _connected_to_read(path)
    try:
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise NotOurs
        if db.execute("PRAGMA user_version").fetchone()[0] > VERSION:
            raise _too_new(path)
        yield db
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise NotOurs from error
        raise
    finally:
        db.close()


def _connected_to_read(path: Path) -> sqlite3.Connection:
    """Connect for reading. A reader of a WAL must write beside it; without permission the file is read as it
    is.

    That is only done if nothing writes to it.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        address += "&immutable=1"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit all of the block's statements, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


# writing


def add_samples(db: sqlite3.Connection, instance: str, samples: Iterable[Sample]) -> None:
    """Add samples; one that is there stays."""
    db.executemany(
        "INSERT OR IGNORE INTO samples VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                instance,
                sample.at,
                sample.state,
                sample.doing,
                sample.kind,
                sample.run,
                sample.start,
                sample.quote,
                sample.base,
                _text(sample.pnl),
                _text(sample.realized),
                _text(sample.fees),
                _text(sample.position),
                _text(sample.price),
                sample.trades,
                sample.from_bot,
            )
            for sample in samples
        ],
    )


def drop_samples(db: sqlite3.Connection, instance: str, moments: Iterable[float]) -> None:
    """Remove the samples of these moments."""
    db.executemany("DELETE FROM samples WHERE instance = ? AND at = ?", [(instance, at) for at in moments])


def add_events(db: sqlite3.Connection, events: Iterable[Event]) -> None:
    """Add events."""
    db.executemany(
        "INSERT INTO events (at, instance, what, text, reason) VALUES (?,?,?,?,?)",
        [
            (
                event.at,
                event.instance,
                event.what,
                event.text,
                None if event.reason is None else json.dumps(event.reason),
            )
            for event in events
        ],
    )


def add_trades(db: sqlite3.Connection, trades: Iterable[Trade]) -> None:
    """Add trades; one that is there stays."""
    db.executemany(
        "INSERT OR IGNORE INTO trades VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                trade.instance,
                trade.trade_id,
                trade.order_id,
                trade.at,
                trade.exchange,
                trade.symbol,
                trade.kind,
                trade.side,
                _text(trade.price),
                _text(trade.quantity),
                _text(trade.fee),
                trade.fee_currency,
                trade.is_maker,
                _text(trade.position),
                _text(trade.realized),
            )
            for trade in trades
        ],
    )


def put_runs(db: sqlite3.Connection, instance: str, runs: Iterable[Run]) -> None:
    """Add runs, or say how they ended."""
    db.executemany("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?)", [(instance, *run) for run in runs])


def put_watched(db: sqlite3.Connection, span: Span) -> None:
    """Save until when a watch ran that began at that moment."""
    db.execute("INSERT OR REPLACE INTO watched VALUES (?, ?)", span)


def put_filled(db: sqlite3.Connection, instance: str, spans: Iterable[Span]) -> None:
    """Say of which times the instance's own database has known."""
    db.executemany("INSERT OR REPLACE INTO filled VALUES (?, ?, ?)", [(instance, *span) for span in spans])


def put_fact(db: sqlite3.Connection, name: str, value: object) -> None:
    """Remember something of the writer's own."""
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))


def prune(db: sqlite3.Connection, before: float, max_bytes: int) -> None:
    """Remove samples and events that are older, and more of them where the file is larger than that.

    Trades stay.
    """
    db.execute("DELETE FROM samples WHERE at < ?", (before,))
    db.execute("DELETE FROM events WHERE at < ?", (before,))
    db.execute("DELETE FROM watched WHERE end < ?", (before,))
    db.execute("DELETE FROM filled WHERE end < ?", (before,))
    while _used(db) > max_bytes:
        row = db.execute("SELECT min(at), max(at) FROM samples").fetchone()
        if row[0] is None or row[1] - row[0] < 3600:
            break
        limit = row[0] + (row[1] - row[0]) / 10
        db.execute("DELETE FROM samples WHERE at < ?", (limit,))
        db.execute("DELETE FROM events WHERE at < ?", (limit,))
    db.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES})")  # execute() would take one of its steps


def _used(db: sqlite3.Connection) -> int:
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


# reading


def fact(db: sqlite3.Connection, name: str) -> Any:
    """Return what `put_fact` has remembered; None for nothing."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    try:
        return None if row is None else json.loads(row[0])
    except ValueError:
        return None


def instances(db: sqlite3.Connection, since: float | None = None) -> list[str]:
    """Return all that anything is known of; with `since`, those that have samples from then on."""
    if since is not None:
        rows = db.execute("SELECT DISTINCT instance FROM samples WHERE at >= ?", (since,))
    else:
        rows = db.execute(
            "SELECT instance FROM samples UNION SELECT instance FROM trades UNION SELECT instance FROM runs"
        )
    return sorted(row[0] for row in rows)


def samples(db: sqlite3.Connection, instance: str, since: float = 0.0) -> list[Sample]:
    """Return an instance's samples, oldest first, with the last one before `since`: what is earned begins
    there.
    """
    rows = db.execute(
        "SELECT at, state, doing, kind, run, start, quote, base, pnl, realized, fees, position, price,"
        " trades, from_bot"
        " FROM samples WHERE instance = ?1 AND at >= coalesce((SELECT max(at) FROM samples WHERE instance ="
        " ?1 AND"
        " at < ?2), ?2) ORDER BY at",
        (instance, since),
    )
    return [_sample(row) for row in rows]


def pnl_samples(db: sqlite3.Connection, instance: str, since: float = 0.0) -> list[Sample]:
    """Return the samples as `samples` does, with only what P&L is computed from: a fleet has very many."""
    rows = db.execute(
        "SELECT at, kind, run, start, quote, base, pnl, trades, from_bot FROM samples WHERE instance = ?1"
        " AND at >= coalesce((SELECT max(at) FROM samples WHERE instance = ?1 AND at < ?2), ?2) ORDER BY at",
        (instance, since),
    )
    return [
        Sample(
            at,
            "",
            kind=kind,
            run=run,
            start=start,
            quote=quote,
            base=base,
            pnl=_amount(pnl),
            trades=trades,
            from_bot=bool(from_bot),
        )
        for at, kind, run, start, quote, base, pnl, trades, from_bot in rows
    ]


def last_sample(db: sqlite3.Connection, instance: str) -> Sample | None:
    """Return an instance's newest sample that was not filled in."""
    row = db.execute(
        "SELECT at, state, doing, kind, run, start, quote, base, pnl, realized, fees, position, price,"
        " trades, from_bot"
        " FROM samples WHERE instance = ? AND NOT from_bot ORDER BY at DESC LIMIT 1",
        (instance,),
    ).fetchone()
    return _sample(row) if row else None


def last_exit(db: sqlite3.Connection, instance: str) -> float | None:
    """Return when the last exit was that is known."""
    row = db.execute(
        "SELECT max(at) FROM events WHERE instance = ? AND what = 'exit'", (instance,)
    ).fetchone()
    return None if row[0] is None else float(row[0])


def events(db: sqlite3.Connection, instance: str | None, since: float = 0.0) -> list[Event]:
    """Return the events of an instance, of all for None, oldest first."""
    rows = db.execute(
        "SELECT at, instance, what, text, reason FROM events WHERE at >= ?1 AND (?2 IS NULL OR instance ="
        " ?2)"
        " ORDER BY at, id",
        (since, instance),
    )
    return [
        Event(at, of, what, text, None if reason is None else json.loads(reason))
        for at, of, what, text, reason in rows
    ]


def trades(db: sqlite3.Connection, chosen: Sequence[str], since: float = 0.0) -> list[Trade]:
    """Return the trades of these instances, oldest first."""
    marks = ",".join("?" * len(chosen))
    rows = db.execute(
        "SELECT at, instance, exchange, symbol, kind, trade_id, order_id, side, price, quantity, fee,"
        " fee_currency,"
        f" is_maker, position, realized FROM trades WHERE at >= ? AND instance IN ({marks})"
        " ORDER BY at, trade_id",
        (since, *chosen),
    )
    return [_trade(row) for row in rows]


def _trade(row: Sequence[Any]) -> Trade:
    at, instance, exchange, symbol, kind, trade_id, order_id, side, *amounts = row
    price, quantity, fee, fee_currency, is_maker, position, realized = amounts
    return Trade(
        at,
        instance,
        exchange,
        symbol,
        kind,
        trade_id,
        order_id,
        side,
        Decimal(price),
        Decimal(quantity),
        Decimal(fee),
        fee_currency,
        bool(is_maker),
        _amount(position),
        _amount(realized),
    )


def runs(db: sqlite3.Connection, instance: str) -> list[Run]:
    """Return an instance's runs, oldest first."""
    rows = db.execute(
        "SELECT began, ended, why, kind FROM runs WHERE instance = ? ORDER BY began", (instance,)
    )
    return [Run(*row) for row in rows]


def watched(db: sqlite3.Connection) -> list[Span]:
    """Return when a watch ran, oldest first."""
    return [Span(*row) for row in db.execute("SELECT begin, end FROM watched ORDER BY begin")]


def covered(db: sqlite3.Connection, instance: str) -> list[Span]:
    """Return when it is known what the instance did, by begin."""
    rows = db.execute(
        "SELECT begin, end FROM watched UNION ALL SELECT begin, end FROM filled WHERE instance = ? ORDER BY"
        " 1, 2",
        (instance,),
    )
    return [Span(*row) for row in rows]


def _sample(row: Sequence[Any]) -> Sample:
    at, state, doing, kind, run, start, quote, base, *amounts, trades, from_bot = row
    pnl, realized, fees, position, price = map(_amount, amounts)
    return Sample(
        at,
        state,
        doing,
        kind,
        run,
        start,
        quote,
        base,
        pnl,
        realized,
        fees,
        position,
        price,
        trades,
        bool(from_bot),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


def _amount(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None
