"""Copy and check SQLite databases, as a program of its own that databases.py runs.

It opens files that a bot has written, so it runs without rights: with an empty environment and, if root runs
it, as the bot's user, confined to the bot's folder. No symlink leads out of there, and every file it creates
(`-wal`, `-shm`) belongs to the bot.

Standard input: `{"root": folder, "user": [uid, gid] or null, "seconds": limit, "jobs": [{"source": name,
"target": path, "most": bytes}]}`. `source` is relative to `root`; null in all jobs to check the targets only.
Standard output: a JSON line per job, `{"how": …, "rows": {table: count}}` or `{"fault": …, "why": …}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]

STEP_PAGES = 2000
"""8 MB, for which a bot without WAL waits 10 ms. Smaller steps only increase the number of waits."""
STEP_PAUSE_S = 0.005
MAX_RESTARTS = 20
"""Each write of a bot without WAL restarts the copy. After this many, the bot has to wait for a whole
copy."""
GAP_S = 0.0005
PRIMARY_CODE = 0xFF
BUSY_S = 30
"""A database that stays locked this long is taken to be locked permanently."""
FAULTS_SHOWN = 3
MAX_TABLES, MAX_TABLE_NAME = 1000, 200
"""Of which the rows are counted: a bot decides how many tables it has, and how they are called."""
DESCRIPTORS = Path("/proc/self/fd")
RECOVERY = frozenset({"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"})
"""A killed bot left a transaction in a journal. Opening the database rolls it back, as the bot itself
would."""


class CopyFailed(Exception):
    """Signal that there is no good copy: a key of databases.FAULTS, and SQLite's message."""

    def __init__(self, fault: str, why: str = "") -> None:
        super().__init__(fault)
        self.fault, self.why = fault, why


def main() -> None:
    """Copy the databases in a child process, then check the copies. Both processes confine themselves."""
    order = json.load(sys.stdin)
    jobs = order["jobs"]
    results = _copy_in_child(order) if jobs[0]["source"] is not None else [{"how": ""}] * len(jobs)
    # opened after the copy, because SQLite reads the size of an immutable file only when it opens it
    checks = [
        sqlite3.connect(f"file:{_quoted(job['target'])}?mode=ro&immutable=1", uri=True)
        if "how" in result
        else None
        for job, result in zip(jobs, results, strict=True)
    ]
    _confine(order)
    for result, check in zip(results, checks, strict=True):
        print(json.dumps(result if check is None else _checked(result["how"], check)), flush=True)


def _copy_in_child(order: Job) -> list[Job]:
    """Return the result of each copy, made by a child process that has the bot's files open."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        targets = [_Target(job["target"]) for job in order["jobs"]]
        _confine(order)
        results = [_result_of(_copy, job, target) for job, target in zip(order["jobs"], targets, strict=True)]
        os.write(writing, json.dumps(results).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:  # noqa: PTH123 - a descriptor
        text = stream.read()
    code = os.waitstatus_to_exitcode(os.wait()[1])
    return list(json.loads(text)) if text else [{"fault": "ended", "why": f"{code}"}] * len(order["jobs"])


def _result_of(work: Callable[..., str], *given: Any) -> Job:
    try:
        return {"how": work(*given)}
    except CopyFailed as fault:
        return {"fault": fault.fault, "why": fault.why}
    except (sqlite3.Error, OSError) as error:
        return {"fault": "unreadable", "why": str(error)}


def _checked(how: str, check: sqlite3.Connection) -> Job:
    rows: dict[str, int] = {}

    def work() -> str:
        rows.update(_check(check))
        return how

    return {**_result_of(work), "rows": rows}


class _Target:
    """Hold a file to copy into. It has no journal, so that an aborted copy needs a new connection:
    `restarted`.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._connections = [
            _writing(path),
            _writing(path),
        ]  # the second one for a restart, when the path is out of reach

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connections[0]

    def restarted(self) -> sqlite3.Connection:
        self._connections.pop(0).close()
        os.ftruncate(self._descriptor, 0)
        return self.connection

    def close(self) -> None:
        for connection_ in self._connections:
            connection_.close()


def _writing(path: str) -> sqlite3.Connection:
    copy = sqlite3.connect(path, isolation_level=None)
    copy.execute("PRAGMA journal_mode=OFF")
    copy.execute("PRAGMA synchronous=OFF")  # only the archive is synced
    return copy


def _confine(order: Job) -> None:
    signal.alarm(order["seconds"])  # a bot can replace its database by a pipe
    if order["user"] is not None:
        os.chroot(order["root"])
        os.chdir("/")
        os.setgroups([])
        os.setgid(order["user"][1])
        os.setuid(order["user"][0])
    else:
        os.chdir(order["root"])
    sys.meta_path.clear()  # modules are no longer imported, so that a bot cannot provide one


def _check(check: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table has. Raises CopyFailed for a damaged database."""
    check.execute("PRAGMA trusted_schema=OFF")
    check.execute("PRAGMA temp_store=MEMORY")
    check.execute("PRAGMA cell_size_check=ON")
    try:
        faults = [row[0] for row in check.execute(f"PRAGMA integrity_check({FAULTS_SHOWN})")]
        if faults == ["ok"]:
            return _count_rows(check)
    except sqlite3.DatabaseError as error:
        faults = [error]
    finally:
        check.close()
    raise CopyFailed("damaged", "; ".join(map(str, faults)))


def _count_rows(check: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each stored table has: views and virtual tables would run code of the schema."""
    tables = check.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND length(name) <= ?"
        " ORDER BY name LIMIT ?",
        (MAX_TABLE_NAME, MAX_TABLES),
    ).fetchall()
    return {
        name: check.execute(f"SELECT count(*) FROM {_identifier(name)}").fetchone()[0] for (name,) in tables
    }


def _identifier(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _copy(job: Job, target: _Target) -> str:
    """Copy a database, and return how: `snapshot`, `steps` or `whole`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["most"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        how = _copy_opened(job["source"], "ro", target)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname not in RECOVERY:
            raise
        how = _copy_opened(job["source"], "rw", target)
    target.close()
    return how


def _copy_opened(name: str, mode: str, target: _Target) -> str:
    address = f"file:{_quoted(str(Path.cwd() / name))}?mode={mode}"
    source = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)
    try:
        source.execute("PRAGMA trusted_schema=OFF")
        _begin(source)
        _require_in_folder(name)
        if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            # a reader of a WAL does not block writers
            source.backup(target.connection, pages=-1)
            return "snapshot"
        source.execute("COMMIT")
        try:
            source.backup(target.connection, pages=STEP_PAGES, sleep=STEP_PAUSE_S, progress=_RestartLimit())
            return "steps"
        except _Starved:
            _begin(source)
            source.backup(target.restarted(), pages=-1)
            return "whole"
    finally:
        source.close()


def _begin(source: sqlite3.Connection) -> None:
    """Start reading in the first gap between writes, which SQLite's own busy handler would sleep through."""
    deadline = time.monotonic() + BUSY_S
    source.execute("BEGIN")
    while True:
        try:
            source.execute("SELECT 1 FROM sqlite_master").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY:
                raise
        if time.monotonic() > deadline:
            raise CopyFailed("locked", f"{BUSY_S} s")
        time.sleep(GAP_S)


class _Starved(Exception):
    pass


class _RestartLimit:
    """Count restarts after each step. Raises _Starved when writes keep the copy from making progress."""

    def __init__(self) -> None:
        self.tries, self.left = MAX_RESTARTS, sys.maxsize

    def __call__(self, _status: int, remaining: int, _total: int) -> None:
        if remaining >= self.left:  # locked, or restarted because the database was written
            self.tries -= 1
            if self.tries < 0:
                raise _Starved
        self.left = remaining


def _require_in_folder(name: str) -> None:
    """Require that SQLite opened the file in the folder, and not through a symlink swapped in meanwhile.

    Not needed when confined, where /proc is not visible.
    """
    if not DESCRIPTORS.is_dir():  # confined
        return
    opened = set()
    for entry in DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            opened.add(entry.readlink())
    if Path.cwd() / name not in opened:
        raise CopyFailed("link", name)


def _quoted(path: str) -> str:
    """Escape a path for a URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


if __name__ == "__main__":
    main()
