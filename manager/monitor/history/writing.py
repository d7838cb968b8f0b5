"""Write the rows of the fleet's history: samples, events, trades, runs and what the writer remembers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from decimal import Decimal

from manager.monitor.history.database import FREE_PAGES
from manager.monitor.history.model import Event, Run, Sample, Span, Trade


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


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
