"""Open the fleet's history in SQLite: its schema, one writer, many readers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from manager.errors import ManagerError
from manager.util import ownership, scratch
from manager.util.formatting import stamp
from manager.util.real_path import real_path
from manager.util.trusted_folder import require_trusted

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
    require_trusted(path.parent)
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
    with ExitStack() as stack:
        db = _connected_to_read(path, stack)
        stack.callback(db.close)
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


def _connected_to_read(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Connect for reading. A reader of a WAL must write a `-shm` beside it; where it may not, and no writer
    has made one, the file is read as it is, or with its WAL from a copy that the stack removes. Raises
    OSError.
    """
    address = f"{real_path(path).as_uri()}?mode=ro"
    wal, shared = (Path(f"{path}{suffix}") for suffix in SIDE_FILES)
    if not os.access(path.parent, os.W_OK) and not shared.exists():
        if wal.exists() and wal.stat().st_size:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix=".history.", dir=scratch.folder())))
            shutil.copyfile(wal, folder / f"copy{SIDE_FILES[0]}")
            address = f"{shutil.copyfile(path, folder / 'copy').as_uri()}?mode=ro"
        else:
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
