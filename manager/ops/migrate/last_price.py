"""Find the last price that the old system's files know of an instance. Changes nothing in the old folder.

Nobody promises what an old database or log looks like: a row or line that is not understood is passed over.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from manager.typed import NamedTuple
from manager.util import scratch
from manager.util.time_parse import is_day

COPIED_UP_TO = 64 << 20
"""A larger database is not copied only to look at it."""
TABLES_UP_TO = 50
STEPS_UP_TO = 200_000
"""SQLite's steps in all: a database that somebody prepared must not hold the import up."""
LOG_TAIL = 256 << 10
LOG_FILES = ("bot_stdout.log", "bot_stderr.log")
PRICE_COLUMNS = ("price", "last_price", "mark_price", "fill_price", "avg_price", "close")
TIME_COLUMNS = (
    "at",
    "time",
    "timestamp",
    "created_at",
    "updated_at",
    "filled_at",
    "executed_at",
    "ts",
    "date",
)
PRICE_IN_LOG = re.compile(
    r"(?:price|價格|当前价|現價)[^0-9\n]{0,12}?([0-9]{1,12}(?:\.[0-9]{1,12})?)", re.IGNORECASE
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
EARLIEST = 1_000_000_000.0
LATEST = 5_000_000_000.0


class LastPrice(NamedTuple):
    """Hold a price, when it was, in seconds, and whether a `database` or a `log` says so."""

    value: Decimal
    at: float
    source: str


def find(database: Path | None, log_dir: Path) -> LastPrice | None:
    """Return the newest price that database or logs know; None where neither does."""
    known = [price for price in (_in_database(database), _in_logs(log_dir)) if price is not None]
    return max(known, key=lambda price: price.at, default=None)


def _in_database(database: Path | None) -> LastPrice | None:
    if database is None:
        return None
    try:
        parts = [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-journal")]
        present = [part for part in parts if part.is_file()]
        if sum(part.stat().st_size for part in present) > COPIED_UP_TO:
            return None
        with tempfile.TemporaryDirectory(prefix="botfleet-", dir=scratch.folder()) as folder:
            for part in present:  # SQLite merges a -wal, which would change the old files
                shutil.copyfile(part, Path(folder) / part.name)
            return _newest_row(Path(folder) / database.name, database.stat().st_mtime)
    except (OSError, sqlite3.Error, UnicodeDecodeError):
        return None


def _newest_row(database: Path, changed_at: float) -> LastPrice | None:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        opened.set_progress_handler(lambda: 1, STEPS_UP_TO)
        tables = opened.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' LIMIT ?",
            (TABLES_UP_TO,),
        ).fetchall()
        rows = [row for (name,) in tables if (row := _last_of(opened, name, changed_at))]
        return max(rows, key=lambda price: price.at, default=None)


def _last_of(opened: sqlite3.Connection, table: str, changed_at: float) -> LastPrice | None:
    if not NAME.fullmatch(table):
        return None
    try:
        columns = {
            str(row[1]).lower(): str(row[1]) for row in opened.execute(f'PRAGMA table_info("{table}")')
        }
        priced = [columns[name] for name in PRICE_COLUMNS if name in columns]
        timed = [columns[name] for name in TIME_COLUMNS if name in columns]
        if not priced:
            return None
        chosen = ", ".join(f'"{name}"' for name in (priced[0], *timed[:1]))
        row = opened.execute(f'SELECT {chosen} FROM "{table}" ORDER BY rowid DESC LIMIT 1').fetchone()
    except sqlite3.Error:
        return None
    value = _price(row[0]) if row else None
    if value is None:
        return None
    at = _time(row[1]) if timed else None
    return LastPrice(value, changed_at if at is None else at, "database")


def _in_logs(log_dir: Path) -> LastPrice | None:
    for log in _newest_logs(log_dir):
        try:
            descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as stream:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    continue
                stream.seek(max(status.st_size - LOG_TAIL, 0))
                text = stream.read(LOG_TAIL).decode("utf-8", "replace")
        except OSError:
            continue
        prices = PRICE_IN_LOG.findall(text)
        if prices and (value := _price(prices[-1])) is not None:
            return LastPrice(value, status.st_mtime, "log")
    return None


def _newest_logs(log_dir: Path) -> Iterator[Path]:
    """Yield the logs of the newest two days, newest first. Symlinks do not count."""
    try:
        with os.scandir(log_dir) as entries:
            days = sorted(
                entry.name for entry in entries if is_day(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return
    for day in reversed(days[-2:]):
        yield from (log_dir / day / name for name in LOG_FILES)


def _price(value: object) -> Decimal | None:
    try:
        price = Decimal(str(value)[:40])
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 < price < Decimal("1e15") else None


def _time(value: object) -> float | None:
    """Return seconds since the epoch, of a number of seconds or milliseconds, or of ISO 8601 text."""
    try:
        number = float(str(value)[:40])
        number = number / 1000 if number > LATEST else number
    except ValueError:
        try:
            number = datetime.fromisoformat(str(value)[:40]).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    return number if EARLIEST < number < LATEST else None
