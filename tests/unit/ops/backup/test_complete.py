"""A backup proves that everything is in it: what is missing is named, and no older one goes for it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.errors import FAILED, OK
from manager.fleet import project as projects
from manager.monitor.history import database as history_file
from manager.monitor.history import queries, writing
from manager.ops.backup import archive, databases, make, rehearse, restore
from manager.ops.backup.archive import ArchiveError
from tests.unit.ops.backup.test_restore import backup_of, database, enter_project, restored


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter_project(tmp_path, monkeypatch)


def backups(sandbox: Path) -> list[str]:
    return sorted(path.name for path in (sandbox / "volumes" / "backups").glob("*.tar.gz"))


def with_history(sandbox: Path) -> None:
    path = projects.read(sandbox).fleet.history_file
    path.parent.mkdir(parents=True, exist_ok=True)
    db, _aside = history_file.open_for_writing(path)
    writing.put_fact(db, "one", 1)
    db.close()


def test_a_link_in_the_place_of_a_database_keeps_the_older_backups(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup"]) == OK
    good = backups(sandbox)
    path = database(sandbox, "bp_sol_01")
    path.rename(tmp_path / "elsewhere.db")
    path.symlink_to(tmp_path / "elsewhere.db")
    capsys.readouterr()
    assert main(["backup", "--keep", "1"]) == FAILED
    error = capsys.readouterr().err
    assert (
        "backup of bp_sol_01 failed: bp_sol_01.db: a symbolic link, which a backup does not follow" in error
    )
    assert "is not complete; older backups were kept" in error
    assert len(backups(sandbox)) == 2
    assert set(good) < set(backups(sandbox))
    (bad,) = set(backups(sandbox)) - set(good)
    assert main(["backup", "verify", f"volumes/backups/{bad}"]) == FAILED
    assert f"{bad} is not complete: bp_sol_01 could not be saved" in capsys.readouterr().err


@pytest.mark.parametrize("is_folder", [False, True], ids=["its first bytes are overwritten", "a folder"])
def test_what_stands_in_the_place_of_a_database_is_none_in_the_first_backup_too(
    sandbox: Path, capsys: pytest.CaptureFixture[str], *, is_folder: bool
) -> None:
    """It was saved as any other file, and the backup called complete."""
    path = database(sandbox, "bp_sol_01")
    content = path.read_bytes()
    path.unlink()
    if is_folder:
        path.mkdir()
    else:
        path.write_bytes(bytes(100) + content[100:])
    assert main(["backup"]) == FAILED
    assert "backup of bp_sol_01 failed: bp_sol_01.db is no SQLite database" in capsys.readouterr().err
    with (sandbox / "config" / "fleet.toml").open("a") as settings:  # another's bot writes what it likes
        settings.write('image = "own:1"\n')
    assert main(["backup"]) == OK


def test_a_data_folder_that_is_not_mounted_is_no_fleet_that_never_ran(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", "--to", "outside"]) == OK
    (sandbox / "volumes").rename(sandbox / "unmounted")
    capsys.readouterr()
    assert main(["backup", "--to", "outside", "--keep", "1"]) == FAILED
    assert "bp_eth_01 failed: its database was in backup-desk-" in capsys.readouterr().err
    assert len(list((sandbox / "outside").glob("*.tar.gz"))) == 2
    (sandbox / "unmounted").rename(sandbox / "volumes")
    assert main(["backup", "--to", "outside", "--keep", "1"]) == OK
    assert len(list((sandbox / "outside").glob("*.tar.gz"))) == 1


def test_an_instance_without_a_config_may_lose_its_database(sandbox: Path) -> None:
    assert main(["backup"]) == OK
    database(sandbox, "bp_sol_01").unlink()
    (sandbox / "config" / "active" / "bp_sol_01.json").unlink()
    assert main(["backup"]) == OK


def test_a_database_that_was_never_moved_into_its_folder_is_missed(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = database(sandbox, "bp_sol_01")
    path.rename(path.parent.with_name("bp_sol_01.db"))
    assert main(["backup"]) == FAILED
    assert "its database volumes/database/bp_sol_01.db is not in its folder" in capsys.readouterr().err


def test_the_fleets_history_is_in_it_and_comes_back_where_there_is_none(
    sandbox: Path, tmp_path: Path
) -> None:
    with_history(sandbox)
    made = backup_of(sandbox)
    assert made.manifest.files["state/history.db"]["rows"]["facts"] == 1
    fresh = tmp_path / "fresh"
    (fresh / "volumes" / "state").mkdir(parents=True)
    (fresh / "volumes" / "state" / "history.db-wal").write_bytes(b"of one that is gone")
    assert "new volumes/state/history.db" in restored(made.path, fresh, tmp_path / "work")
    with history_file.reading(fresh / "volumes" / "state" / "history.db") as db:
        assert queries.fact(db, "one") == 1
    assert list((fresh / "volumes" / "state").glob("history.db.before-restore-*-wal"))
    assert "same volumes/state/history.db" in restored(made.path, sandbox, tmp_path / "work2")


def test_a_damaged_history_is_named(sandbox: Path) -> None:
    path = projects.read(sandbox).fleet.history_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"SQLite format 3\0" + b"x" * 8176)
    made = backup_of(sandbox)
    assert [fault.partition(":")[0] for fault in made.faults] == ["state/history.db"]
    assert not made.manifest.is_complete


def test_a_restore_is_rehearsed_and_leaves_nothing(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also with settings that name another place for the data."""
    elsewhere = sandbox.parent / "elsewhere"
    (sandbox / "config" / "fleet.toml").write_text(f'name = "desk"\ndata_dir = "{elsewhere}"\n')
    (sandbox / "volumes").rename(elsewhere)
    with_history(sandbox)
    made = backup_of(sandbox)
    before = sorted(sandbox.parent.rglob("*"))
    capsys.readouterr()
    assert main(["backup", "verify", "--restore", "--json", str(made.path)]) == OK
    rehearsed = json.loads(capsys.readouterr().out)[str(made.path)]["restored"]
    assert (rehearsed["databases"], rehearsed["rows"]) == (3, 2 + 1)
    assert sorted(sandbox.parent.rglob("*")) == before


def test_a_backup_of_one_of_several_instances_is_rehearsed(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a move does: the other instances' configs are in the backup, and no restore of it has them."""
    assert main(["backup", "bp_sol_01"]) == OK
    [name] = backups(sandbox)
    capsys.readouterr()
    assert main(["backup", "verify", "--restore", f"volumes/backups/{name}"]) == OK


def test_a_rehearsal_counts_the_rows(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound database that is not the one that was saved."""
    made = backup_of(sandbox)
    true = restore.perform

    def lossy(plan: restore.Plan, *given: object) -> None:
        true(plan, *given)  # type: ignore[arg-type]
        with closing(sqlite3.connect(plan.fleet.database_dir("bp_sol_01") / "bp_sol_01.db")) as db:
            db.execute("DELETE FROM t")
            db.commit()

    monkeypatch.setattr(restore, "perform", lossy)
    with pytest.raises(ArchiveError, match=r"bp_sol_01\.db: was restored with another content"):
        rehearse.rehearse_restore(made.path)
    monkeypatch.setattr(restore, "perform", true)
    assert rehearse.rehearse_restore(made.path).rows == 2
    monkeypatch.setattr(databases, "count_rows", lambda *_: {"t": 0})
    with pytest.raises(ArchiveError, match="table t has 0 rows instead of 1"):
        rehearse.rehearse_restore(made.path)


def test_a_backup_of_some_instances_is_rehearsed_without_the_configs_of_others(sandbox: Path) -> None:
    made = make.make(projects.read(sandbox), ["bp_sol_01"], sandbox / "backups", None, lambda _saved: None)
    assert "config/active/bp_eth_01.json" in made.manifest.files
    rehearsed = rehearse.rehearse_restore(made.path)
    assert (rehearsed.files, rehearsed.databases) == (len(made.manifest.files) - 1, 1)


def test_a_rehearsal_without_room_says_so(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = backup_of(sandbox)
    monkeypatch.setattr(databases, "DISK_MARGIN", 1 << 60)
    with pytest.raises(ArchiveError, match="the rehearsal needs"):
        rehearse.rehearse_restore(made.path)


def test_a_backup_of_an_earlier_version_has_no_rows_to_compare(sandbox: Path) -> None:
    project = projects.read(sandbox)
    original = archive.Writer.add

    def without_rows(writer: archive.Writer, *given: object, **_kept: object) -> None:
        original(writer, *given[:4])  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive.Writer, "add", without_rows)
        made = make.make(
            project, make.known_instances(project), sandbox / "backups", None, lambda _saved: None
        )
    assert rehearse.rehearse_restore(made.path).rows == 2
