"""Copies and checks SQLite databases. A program of its own, run by databases.py: it opens files that a bot has written.

So it knows nothing and may do nothing: an empty environment, and, where root runs it, the bot's own user, shut into the
bot's own folder. No link leads out of there, and no file it makes (`-wal`, `-shm`) can belong to another than the bot.

Standard input: `{"root": folder, "user": [uid, gid] or null, "jobs": [{"source": name or null, "target": path, "most": bytes}]}`,
`source` relative to `root`, null to check the target alone. Standard output: a JSON line a job, `{"how": …}` or `{"fault": …,
"why": …}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

Job = dict[str, Any]

STEP_PAGES = 2000
"""8 MB, for which a bot without WAL waits 10 ms; smaller steps make the copy no slower, only the waits more."""
STEP_PAUSE_S = 0.005
MOST_RESTARTS = 5
"""A bot without WAL that writes makes the copy start again each time; after so many it has to wait for one whole copy."""
BUSY_S = 30
"""A bot that keeps its database locked for so long keeps it always."""
FAULTS_SHOWN = 3
DESCRIPTORS = Path("/proc/self/fd")
RECOVERY = frozenset({"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"})
"""A killed bot's transaction lies in a journal. Whoever opens the database next undoes it, as the bot itself would."""


class Fault(Exception):
    """Why there is no good copy: a word that databases.py knows, and SQLite's own."""

    def __init__(self, word: str, why: str = "") -> None:
        super().__init__(word)
        self.word, self.why = word, why


def main() -> None:
    """Opens the targets while it still may, gives its rights away, and only then looks at what the bot has written."""
    order = json.load(sys.stdin)
    jobs = [(job, *_targets(job)) for job in order["jobs"]]
    _shut_in(order["root"], order["user"])
    for job, target, check in jobs:
        try:
            said = {"how": _done(job, target, check)}
        except Fault as fault:
            said = {"fault": fault.word, "why": fault.why}
        except (sqlite3.Error, OSError) as error:
            said = {"fault": "unreadable", "why": str(error)}
        print(json.dumps(said), flush=True)


def _targets(job: Job) -> tuple[sqlite3.Connection | None, sqlite3.Connection]:
    """The copy to write, and the same file once more to check: by path it will be out of reach."""
    copy = None
    if job["source"] is not None:
        copy = sqlite3.connect(job["target"], isolation_level=None)
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA locking_mode=EXCLUSIVE")
        copy.execute("PRAGMA synchronous=OFF")  # the archive is what is synced
    check = sqlite3.connect(f"file:{_quoted(job['target'])}?mode=ro&immutable=1", uri=True)
    return copy, check


def _shut_in(root: str, user: list[int] | None) -> None:
    if user is not None:
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    else:
        os.chdir(root)
    sys.meta_path.clear()  # modules are not looked for where a bot can put them


def _done(job: Job, target: sqlite3.Connection | None, check: sqlite3.Connection) -> str:
    """How it was copied: `snapshot`, `steps` or `whole`; empty where it was only checked."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["most"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    how = "" if target is None else _copied(job["source"], target)
    if target is not None:
        target.close()
    check.execute("PRAGMA trusted_schema=OFF")
    check.execute("PRAGMA temp_store=MEMORY")
    check.execute("PRAGMA cell_size_check=ON")
    faults = [row[0] for row in check.execute(f"PRAGMA integrity_check({FAULTS_SHOWN})")]
    check.close()
    if faults != ["ok"]:
        raise Fault("damaged", "; ".join(map(str, faults)))
    return how


def _copied(name: str, target: sqlite3.Connection) -> str:
    try:
        return _copied_as(name, "ro", target)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname not in RECOVERY:
            raise
    return _copied_as(name, "rw", target)


def _copied_as(name: str, mode: str, target: sqlite3.Connection) -> str:
    source = sqlite3.connect(f"file:{_quoted(str(Path.cwd() / name))}?mode={mode}", uri=True, timeout=BUSY_S)
    try:
        source.execute("PRAGMA trusted_schema=OFF")
        if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            _require_inside(name)
            source.backup(target, pages=-1, progress=_Patience())  # a WAL's reader keeps no writer waiting
            return "snapshot"
        _require_inside(name)
        try:
            source.backup(target, pages=STEP_PAGES, sleep=STEP_PAUSE_S, progress=_Patience(MOST_RESTARTS))
            return "steps"
        except _Starved:
            source.backup(target, pages=-1, progress=_Patience())
            return "whole"
    finally:
        source.close()


class _Starved(Exception):
    pass


class _Patience:
    """Called after each step. Raises _Starved after too many new beginnings, Fault when the database stays locked."""

    def __init__(self, restarts: int = sys.maxsize) -> None:
        self.restarts, self.left, self.busy_since = restarts, sys.maxsize, 0.0

    def __call__(self, status: int, remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self.busy_since = self.busy_since or time.monotonic()
            if time.monotonic() - self.busy_since > BUSY_S:
                raise Fault("locked", f"{BUSY_S} s")
            return
        self.busy_since = 0.0
        if remaining >= self.left:  # what was copied is worth nothing: somebody has written
            self.restarts -= 1
            if self.restarts < 0:
                raise _Starved
        self.left = remaining


def _require_inside(name: str) -> None:
    """Where there is no shutting in: everything SQLite has opened lies in the folder, whatever was swapped for a link."""
    opened = set()
    if not DESCRIPTORS.is_dir():  # shut in
        return
    for each in DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            opened.add(each.readlink())
    if Path.cwd() / name not in opened:
        raise Fault("link", name)


def _quoted(path: str) -> str:
    """A path as it stands in a URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


if __name__ == "__main__":
    main()
