"""Copies and checks SQLite databases. A program of its own, run by databases.py: it opens files that a bot has written.

So it knows nothing and may do nothing: an empty environment, and, where root runs it, the bot's own user, shut into the
bot's own folder. No link leads out of there, and no file it makes (`-wal`, `-shm`) can belong to another than the bot.

Standard input: `{"root": folder, "user": [uid, gid] or null, "seconds": limit, "jobs": [{"source": name, "target": path, "most":
bytes}]}`, `source` relative to `root`; null in all jobs to check the targets alone. Standard output: a JSON line a job, `{"how": …}`
or `{"fault": …, "why": …}`.
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
"""8 MB, for which a bot without WAL waits 10 ms; smaller steps make the copy no slower, only the waits more."""
STEP_PAUSE_S = 0.005
MOST_TRIES = 20
"""A bot without WAL that writes makes the copy start again each time; after so many it has to wait for one whole copy."""
GAP_S = 0.0005
PRIMARY_CODE = 0xFF
BUSY_S = 30
"""A bot that keeps its database locked for so long keeps it always."""
FAULTS_SHOWN = 3
DESCRIPTORS = Path("/proc/self/fd")
RECOVERY = frozenset({"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"})
"""A killed bot's transaction lies in a journal. Whoever opens the database next undoes it, as the bot itself would."""


class NoCopy(Exception):
    """Why there is no good copy: a word that databases.py knows, and SQLite's own."""

    def __init__(self, word: str, why: str = "") -> None:
        super().__init__(word)
        self.word, self.why = word, why


def main() -> None:
    """Has the copies made, and checks them: each half opens what is ours while it may, and then gives its rights away."""
    order = json.load(sys.stdin)
    jobs = order["jobs"]
    said = _copied_apart(order) if jobs[0]["source"] is not None else [{"how": ""}] * len(jobs)
    # opened only now: an immutable file is taken to be as large as it was when it was opened
    checks = [
        sqlite3.connect(f"file:{_quoted(job['target'])}?mode=ro&immutable=1", uri=True)
        if "how" in each
        else None
        for job, each in zip(jobs, said, strict=True)
    ]
    _shut_in(order)
    for each, check in zip(said, checks, strict=True):
        print(json.dumps(each if check is None else _answer(_checked, each["how"], check)), flush=True)


def _copied_apart(order: Job) -> list[Job]:
    """What became of each copy, made by a process of its own, which has the bot's files in its hands."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        targets = [_Target(job["target"]) for job in order["jobs"]]
        _shut_in(order)
        said = [_answer(_copied, job, target) for job, target in zip(order["jobs"], targets, strict=True)]
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:  # noqa: PTH123 - a descriptor
        text = stream.read()
    code = os.waitstatus_to_exitcode(os.wait()[1])
    return list(json.loads(text)) if text else [{"fault": "ended", "why": f"{code}"}] * len(order["jobs"])


def _answer(work: Callable[..., str], *given: Any) -> Job:
    try:
        return {"how": work(*given)}
    except NoCopy as fault:
        return {"fault": fault.word, "why": fault.why}
    except (sqlite3.Error, OSError) as error:
        return {"fault": "unreadable", "why": str(error)}


class _Target:
    """A file to copy into. It has no journal, so that a copy that was broken off needs a new beginning: `emptied`."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._connections = [_writing(path), _writing(path)]  # the second while its path is in reach

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connections[0]

    def emptied(self) -> sqlite3.Connection:
        self._connections.pop(0).close()
        os.ftruncate(self._descriptor, 0)
        return self.connection

    def close(self) -> None:
        for each in self._connections:
            each.close()


def _writing(path: str) -> sqlite3.Connection:
    copy = sqlite3.connect(path, isolation_level=None)
    copy.execute("PRAGMA journal_mode=OFF")
    copy.execute("PRAGMA synchronous=OFF")  # the archive is what is synced
    return copy


def _shut_in(order: Job) -> None:
    signal.alarm(order["seconds"])  # a bot can put a pipe where its database was
    if order["user"] is not None:
        os.chroot(order["root"])
        os.chdir("/")
        os.setgroups([])
        os.setgid(order["user"][1])
        os.setuid(order["user"][0])
    else:
        os.chdir(order["root"])
    sys.meta_path.clear()  # modules are not looked for where a bot can put them


def _checked(how: str, check: sqlite3.Connection) -> str:
    check.execute("PRAGMA trusted_schema=OFF")
    check.execute("PRAGMA temp_store=MEMORY")
    check.execute("PRAGMA cell_size_check=ON")
    try:
        faults = [row[0] for row in check.execute(f"PRAGMA integrity_check({FAULTS_SHOWN})")]
    except sqlite3.DatabaseError as error:
        faults = [error]
    check.close()
    if faults != ["ok"]:
        raise NoCopy("damaged", "; ".join(map(str, faults)))
    return how


def _copied(job: Job, target: _Target) -> str:
    """How it was copied: `snapshot`, `steps` or `whole`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["most"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        how = _copied_as(job["source"], "ro", target)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname not in RECOVERY:
            raise
        how = _copied_as(job["source"], "rw", target)
    target.close()
    return how


def _copied_as(name: str, mode: str, target: _Target) -> str:
    address = f"file:{_quoted(str(Path.cwd() / name))}?mode={mode}"
    source = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None)
    try:
        source.execute("PRAGMA trusted_schema=OFF")
        _begin(source)
        _require_inside(name)
        if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            # a reader of a WAL keeps no writer waiting
            source.backup(target.connection, pages=-1)
            return "snapshot"
        source.execute("COMMIT")
        try:
            source.backup(target.connection, pages=STEP_PAGES, sleep=STEP_PAUSE_S, progress=_Patience())
            return "steps"
        except _Starved:
            _begin(source)
            source.backup(target.emptied(), pages=-1)
            return "whole"
    finally:
        source.close()


def _begin(source: sqlite3.Connection) -> None:
    """Begins to read, in the first gap that a writer leaves: SQLite's own waiting would sleep through all of them."""
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
            raise NoCopy("locked", f"{BUSY_S} s")
        time.sleep(GAP_S)


class _Starved(Exception):
    pass


class _Patience:
    """Called after each step. Raises _Starved when a writer lets the copy get nowhere."""

    def __init__(self) -> None:
        self.tries, self.left = MOST_TRIES, sys.maxsize

    def __call__(self, _status: int, remaining: int, _total: int) -> None:
        if remaining >= self.left:  # locked, or what was copied is worth nothing: somebody has written
            self.tries -= 1
            if self.tries < 0:
                raise _Starved
        self.left = remaining


def _require_inside(name: str) -> None:
    """Where there is no shutting in: everything SQLite has opened lies in the folder, whatever was swapped for a link."""
    if not DESCRIPTORS.is_dir():  # shut in
        return
    opened = set()
    for each in DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            opened.add(each.readlink())
    if Path.cwd() / name not in opened:
        raise NoCopy("link", name)


def _quoted(path: str) -> str:
    """A path as it stands in a URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


if __name__ == "__main__":
    main()
