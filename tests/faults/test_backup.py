"""Backups under load: whatever is being written, each is sound and holds every row committed before it
began.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine

SHORT, LONG = 1, 100

WRITER = """
import json, signal, sqlite3, sys, time
path, mode, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
database = sqlite3.connect(path, timeout=60)
database.execute(f"PRAGMA journal_mode={mode}")
database.execute("CREATE TABLE IF NOT EXISTS fills (id INTEGER PRIMARY KEY, note TEXT)")
going, worst, rows = True, 0.0, 0
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
while going:
    began = time.monotonic()
    database.execute("INSERT INTO fills (note) VALUES (hex(randomblob(8)))")
    database.commit()
    worst, rows = max(worst, time.monotonic() - began), rows + 1
    time.sleep(pause)
print(json.dumps({"rows": rows, "worst_s": worst}))
"""
"""As fast as it can, or with a pause; it says how long its slowest commit took."""


def test_backups_of_databases_that_are_written(
    project: Project, tmp_path: Path, is_long: bool, note: Note
) -> None:
    for number, instance in enumerate(("one", "wal", "rollback")):
        bots.add(project, instance, number)
    project.manager("up", "--wait")
    bots.tell(project, "one", "write")
    kinds: Counter[str] = Counter()
    times = LONG if is_long else SHORT
    with (
        a_writer(project, "wal", "wal", 0) as heavy,
        a_writer(project, "rollback", "delete", 0.01) as careful,
    ):
        paths = {name: database(project, name) for name in ("one", "wal", "rollback")}
        eventually(lambda: have_rows(paths.values()), what="rows")
        for number in range(times):
            before = {name: committed(path) for name, path in paths.items()}
            done = project.manager("backup", "--json", "--keep", "2").json
            kinds.update(
                file["how"]
                for instance in done["instances"]
                for file in instance["files"]
                if file["how"] != "file"
            )
            if number % 10 == 0:
                project.manager("backup", "verify", done["file"])
            for instance, rows in before.items():
                assert_sound(Path(done["file"]), instance, rows, tmp_path)
        written = {"wal": ended(heavy), "rollback": ended(careful)}
    assert project.states() == {"one": "running", "wal": "running", "rollback": "running"}
    assert written["wal"]["rows"] > 100 * times
    owners = {path.stat().st_uid for path in paths["one"].parent.iterdir()}
    assert owners == {paths["one"].parent.stat().st_uid}
    project.manager("down")
    slowest = ", ".join(f"{name} {result['worst_s'] * 1000:.0f} ms" for name, result in written.items())
    note(
        "backups of databases that are written",
        "a bot in its container, a WAL writer at full speed, a writer without WAL",
        times,
        f"every copy passes integrity_check and holds every row committed before ({dict(kinds)}); slowest "
        f"commit: {slowest}",
    )


def database(project: Project, instance: str) -> Path:
    return project.folder / "volumes" / "database" / instance / f"{instance}.db"


@contextmanager
def a_writer(project: Project, instance: str, mode: str, pause: float) -> Iterator[subprocess.Popen[str]]:
    """A process that writes an instance's database as its bot would."""
    path = database(project, instance)
    path.touch()
    owner = path.parent.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    running = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), mode, str(pause)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def ended(writer: subprocess.Popen[str]) -> dict[str, float]:
    writer.send_signal(signal.SIGTERM)
    out, _err = writer.communicate(timeout=60)
    return dict(json.loads(out))


def committed(path: Path) -> int:
    """The last row: they count from 1 without a gap."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
        return int(db.execute("SELECT max(id) FROM fills").fetchall()[0][0])


def have_rows(paths: Iterable[Path]) -> bool:
    try:
        return min(map(committed, paths)) > 100
    except (sqlite3.Error, TypeError):  # no file, no table, no row yet
        return False


def assert_sound(backup: Path, instance: str, rows: int, folder: Path) -> None:
    copy = folder / "copy.db"
    with tarfile.open(backup) as archive:
        content = archive.extractfile(f"database/{instance}/{instance}.db")
        assert content is not None
        copy.write_bytes(content.read())
    with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM fills WHERE id <= ?", (rows,)).fetchall() == [(rows,)]
