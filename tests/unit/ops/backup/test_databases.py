"""Copies of databases that live, of folders that a hostile bot has filled, and what is left behind there:
nothing of ours.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from manager.config.spec import BOT_ID
from manager.ops.backup import databases, scan
from manager.ops.backup.databases import CopyResult, check_database

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to the bots' user")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data" / "bp_sol_01"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def work(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir(mode=0o700)
    return made


def a_database(path: Path, mode: str = "wal", rows: int = 100) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("CREATE TABLE t (x)")
    database.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(rows)])
    database.commit()
    return database


def copied(folder: Path, work: Path, *expected: str) -> CopyResult:
    return databases.copy_folder("bp_sol_01", folder, work, expected=expected)


def count(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM t").fetchone()[0])


def how(copies: CopyResult) -> dict[str, str]:
    assert copies.faults == ()
    return {database.source.name: database.how for database in copies.copied}


def give(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, BOT_ID, BOT_ID, follow_symlinks=False)


def killed(script: str, *args: str) -> None:
    """A writer that is killed in the middle, so that its journal stays."""
    done = subprocess.run([sys.executable, "-c", script, *args], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("mode", "expected"), [("wal", "snapshot"), ("delete", "steps"), ("persist", "steps")]
)
def test_what_is_committed_is_in_the_copy(mode: str, expected: str, folder: Path, work: Path) -> None:
    database = a_database(folder / "a b?#%.db", mode)
    database.execute("INSERT INTO t VALUES ('not committed')")
    copies = copied(folder, work)
    assert how(copies) == {"a b?#%.db": expected}
    assert count(copies.copied[0].path) == 100
    database.commit()
    assert database.execute("SELECT count(*) FROM t").fetchone() == (101,)


def test_a_copy_keeps_the_journal_mode(folder: Path, work: Path) -> None:
    _living = a_database(folder / "a.db", "wal")
    with sqlite3.connect(copied(folder, work).copied[0].path) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@needs_root
@pytest.mark.parametrize("is_open", [True, False])
def test_files_that_a_reader_makes_belong_to_the_bot(is_open: bool, folder: Path, work: Path) -> None:
    database = a_database(folder / "a.db")
    if not is_open:
        database.close()
    give(folder)
    assert how(copied(folder, work)) == {"a.db": "snapshot"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (folder, *folder.iterdir())} == {
        (BOT_ID, BOT_ID)
    }


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_killed_writers_database_is_copied_without_its_last_transaction(
    mode: str, folder: Path, work: Path
) -> None:
    a_database(folder / "a.db", mode).close()
    killed(
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA cache_size=1'); db.execute('BEGIN')\n"
        "db.executemany('INSERT INTO t VALUES (?)', [('x' * 500,) for _ in range(5000)])\n"
        "os.kill(os.getpid(), 9)",
        str(folder / "a.db"),
    )
    assert (folder / f"a.db-{'wal' if mode == 'wal' else 'journal'}").stat().st_size > 0
    copies = copied(folder, work)
    assert set(how(copies)) == {"a.db"}
    assert count(copies.copied[0].path) == 100


def test_a_writer_without_wal_does_not_starve_the_copy(folder: Path, work: Path) -> None:
    a_database(folder / "a.db", "delete", rows=300_000).close()
    script = (
        "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n"
        "print('writing', flush=True)\nwhile True: db.execute('INSERT INTO t VALUES (1)')"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(folder / "a.db")], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        copies = copied(folder, work)
    finally:
        writer.kill()
        writer.communicate()
    assert how(copies)["a.db"] in {"steps", "whole"}
    assert count(copies.copied[0].path) >= 300_000


def test_what_is_no_database_is_copied_as_it_is(folder: Path, work: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "notes.csv").write_text("a,b\n")
    (folder / "empty.db").touch()
    copies = copied(folder, work)
    assert how(copies) == {"empty.db": "file", "sub/notes.csv": "file"}
    assert {database.path.read_text() for database in copies.copied} == {"", "a,b\n"}


def test_what_is_no_database_is_copied_while_it_is_little(folder: Path, work: Path) -> None:
    for name in ("a", "b", "c"):
        with (folder / name).open("wb") as stream:
            stream.truncate(scan.MAX_PLAIN_BYTES // 2)
    copies = copied(folder, work)
    assert how(copies) == {"a": "file", "b": "file"}
    assert [name for name, _why in copies.left_out] == ["c"]


def test_names_that_no_backup_can_have_do_not_spoil_it(folder: Path, work: Path) -> None:
    deep = folder.joinpath(*["d" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / "note").touch()
    (folder / "note").touch()
    copies = copied(folder, work)
    assert how(copies) == {"note": "file"}
    assert [why.message for _name, why in copies.left_out] == ["the file name is too long"]


def test_a_hostile_folder_is_no_way_out(folder: Path, work: Path, tmp_path: Path) -> None:
    """Links, pipes, sockets, names: nothing is followed, nothing waited for, and the good database is
    saved.
    """
    a_database(tmp_path / "others.db").close()
    (tmp_path / "others").mkdir()
    a_database(tmp_path / "others" / "deep.db").close()
    a_database(folder / "good.db").close()
    (folder / "link.db").symlink_to(tmp_path / "others.db")
    (folder / "sub").symlink_to(tmp_path / "others")
    os.mkfifo(folder / "pipe.db")
    (folder / "line\nbreak.db").touch()
    (folder / "circle").symlink_to("circle")
    copies = copied(folder, work)
    assert [(database.source.name, database.how) for database in copies.copied] == [("good.db", "snapshot")]
    assert {name for name, _why in copies.faults} == {"link.db", "pipe.db", "'line\\nbreak.db'"}
    assert [name for name, _why in copies.left_out] == ["circle"]


def test_databases_come_first_whatever_lies_beside_them(folder: Path, work: Path) -> None:
    for number in range(scan.MAX_FILES + 1):
        (folder / f"a{number:04}").touch()
    deep = folder.joinpath(*["d"] * (scan.MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    for path in (folder / "z.data", deep / "deep"):
        a_database(path).close()
    copies = copied(folder, work)
    assert copies.faults == ()
    assert [database.source.name for database in copies.copied][:2] == [
        "z.data",
        f"{deep.relative_to(folder)}/deep",
    ]
    assert len(copies.copied) == 2 + scan.MAX_FILES
    assert [(name, why.message) for name, why in copies.left_out] == [
        ("a1000", "this and all following files: more than {limit} files")
    ]


def test_databases_come_before_files_that_fill_their_space(folder: Path, work: Path) -> None:
    (folder / "a").write_bytes(b"x" * 4096)
    a_database(folder / "b.db").close()
    copies = copied(folder, work)
    assert [database.source.name for database in copies.copied] == ["b.db", "a"]


@pytest.mark.parametrize("name", ["a.db", "a.sqlite3", "state"])
def test_a_database_behind_a_link_is_a_fault(name: str, folder: Path, work: Path, tmp_path: Path) -> None:
    a_database(tmp_path / "real.db").close()
    (folder / name).symlink_to(tmp_path / "real.db")
    copies = copied(folder, work, "state")
    assert copies.copied == ()
    ((shown, why),) = copies.faults
    assert (shown, str(why)) == (name, "a symbolic link, which a backup does not follow")


def test_a_database_that_no_backup_can_name_is_a_fault(folder: Path, work: Path) -> None:
    a_database(folder / "line\nbreak").close()
    ((name, why),) = copied(folder, work).faults
    assert (name, str(why)) == ("'line\\nbreak'", "the file name contains unprintable characters")


def test_what_cannot_be_read_may_be_a_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").touch(mode=0)
    (folder / "sub").mkdir(mode=0)
    give(folder) if os.geteuid() == 0 else None
    (folder / "secret").chmod(0)
    monkeypatch.chdir(folder)  # which nobody but root could reach by its path
    user = os.geteuid()
    os.seteuid(BOT_ID) if user == 0 else None
    try:
        scanned = scan.scan("bp_sol_01", Path(), ())
    finally:
        os.seteuid(user)
    assert {name for name, _why in scanned.faults} == {"secret", "sub/"}


def test_more_than_can_be_looked_through_is_a_fault(
    folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MAX_SCANNED", 10)
    for number in range(11):
        (folder / f"a{number:02}").touch()
    a_database(folder / "z").close()
    copies = copied(folder, work, "z")
    assert copies.copied[0].source.name == "z", "the instance's own has the first turn"
    ((name, why),) = copies.faults
    assert (name, why.params) == ("a09", {"limit": 10})


def test_rows_are_counted_in_the_copy(folder: Path, work: Path) -> None:
    database = a_database(folder / "a.db")
    database.execute('CREATE TABLE "a ""b"" c" (x)')
    database.execute("CREATE VIEW v AS SELECT randomblob(1000000000) FROM t")
    database.commit()
    (copy,) = copied(folder, work).copied
    assert copy.rows == {"t": 100, 'a "b" c': 0}
    (work / "empty").mkdir()
    assert databases.count_rows(copy.path, work / "empty") == copy.rows


def test_a_database_swapped_for_a_link_is_not_followed(folder: Path, tmp_path: Path, work: Path) -> None:
    """The copier itself: what it was told is a file is a link by the time it opens it."""
    a_database(tmp_path / "others.db").close()
    (folder / "a.db").symlink_to(tmp_path / "others.db")
    user = (BOT_ID, BOT_ID) if os.geteuid() == 0 else None
    job = {"source": "a.db", "target": str(work / "a.db"), "most": 1 << 20}
    (answer,) = databases._run_copier(folder, user, [job], 0)
    assert not isinstance(answer, str)
    assert (work / "a.db").stat().st_size == 0


@needs_root
def test_the_copier_sees_the_bots_folder_and_nothing_else(folder: Path, tmp_path: Path, work: Path) -> None:
    """As root it is shut in: a database outside is out of reach even by its true name."""
    a_database(tmp_path / "others.db").close()
    give(folder)
    job = {"source": f"../../{tmp_path.name}/others.db", "target": str(work / "a.db"), "most": 1 << 20}
    (answer,) = databases._run_copier(folder, (BOT_ID, BOT_ID), [job], 0)
    assert not isinstance(answer, str)
    assert "unable to open" in str(answer)


def test_a_damaged_database_is_named_and_the_others_saved(folder: Path, work: Path) -> None:
    a_database(folder / "good.db", "delete").close()
    a_database(folder / "bad.db", "delete", rows=10_000).close()
    with (folder / "bad.db").open("r+b") as stream:
        stream.seek(3 * 4096)
        stream.write(os.urandom(4096))
    copies = copied(folder, work)
    assert [database.source.name for database in copies.copied] == ["good.db"]
    ((name, why),) = copies.faults
    assert (name, why.message) == ("bad.db", databases.FAULTS["damaged"])


def test_a_damaged_database_forges_no_line_of_a_message(folder: Path, work: Path) -> None:
    with a_database(folder / "bad.db", "delete") as database:
        database.execute('CREATE INDEX "x\nerror: all backups are lost" ON t (x)')
        database.execute("PRAGMA writable_schema=ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, '(x)', '(x + 1)') WHERE type = 'index'")
    database.close()
    (_name, why) = copied(folder, work).faults[0]
    assert len(str(why).splitlines()) == 1
    assert "error: all backups are lost" in str(why)


def test_more_than_the_disk_holds_is_said_before_it_is_tried(folder: Path, work: Path) -> None:
    a_database(folder / "vast.db").close()
    with (folder / "vast.db").open("r+b") as stream:
        stream.truncate(1 << 43)
    a_database(folder / "small.db").close()
    copies = copied(folder, work)
    assert [database.source.name for database in copies.copied] == ["small.db"]
    ((name, why),) = copies.faults
    assert name == "vast.db"
    assert str(why).startswith("the copy needs 8.8 TB of disk space, but only ")


def test_an_instance_that_never_ran_has_nothing(tmp_path: Path, work: Path) -> None:
    assert copied(tmp_path / "none", work) == CopyResult()
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(databases.CopyError):
        copied(tmp_path / "link", work)


def test_a_copy_is_checked_before_it_is_believed(tmp_path: Path) -> None:
    a_database(tmp_path / "a.db", "delete", rows=10_000).close()
    (tmp_path / "empty").mkdir()
    assert check_database(tmp_path / "a.db", tmp_path / "empty") is None
    with (tmp_path / "a.db").open("r+b") as stream:
        stream.seek(3 * 4096)
        stream.write(os.urandom(4096))
    assert check_database(tmp_path / "a.db", tmp_path / "empty") is not None


def test_the_copier_is_not_waited_for_without_end(
    folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BASE_TIMEOUT_S", 1)
    os.mkfifo(folder / "a.db")
    job = {"source": "a.db", "target": str(work / "a.db"), "most": 1 << 20}
    (answer,) = databases._run_copier(folder, None, [job], 0)
    assert not isinstance(answer, str)
    assert "-14" in str(answer), "by its own alarm"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk without a free byte or inode, once `fill` was called on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=40", "none", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    with suppress(OSError):
        for number in range(100):
            (disk / f"inode{number}").touch()


LEFT = {
    "closed": "os._exit(0)",
    "killed": "db.execute('BEGIN'); db.execute('INSERT INTO t VALUES (0)'); os.kill(os.getpid(), 9)",
}


@needs_root
@pytest.mark.parametrize("left", LEFT)
def test_a_database_on_a_full_disk_is_copied_to_another_one(left: str, full_disk: Path, work: Path) -> None:
    """Where nothing can be created beside it, SQLite cannot open its log."""
    folder = full_disk / "bp_sol_01"
    folder.mkdir()
    a_database(folder / "a.db").close()
    script = "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
    subprocess.run([sys.executable, "-c", script + LEFT[left], str(folder / "a.db")], check=False)
    (folder / "a.db-shm").unlink(missing_ok=True)
    give(folder)
    fill(full_disk)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    copies = copied(folder, work)
    assert how(copies) == {"a.db": "snapshot"}
    assert count(copies.copied[0].path) == 100
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in work.iterdir()] == ["0.db"], "the copy of the files is gone"
