"""Backups of a fleet that trades, and the way back: onto the same machine and onto a fresh one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fleet import a_project
from tests.integration.conftest import Project, eventually

pytestmark = pytest.mark.engine

KEY = "mark3r-key-in-dotenv"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    """Two instances that have traded; a key in .env."""
    with a_project(tmp_path_factory.mktemp("backed-up") / "project", bot_image) as project:
        (project.folder / ".env").write_text(f"BACKPACK_KEY={KEY}\n")
        project.add("bp_sol_01", 0)
        project.add("bp_eth_01", 1, stem="backpack_eth")
        project.manager("up", "--wait")
        for instance in ("bp_sol_01", "bp_eth_01"):
            eventually(lambda name=instance: rows(database(project, name)) > 0, what="orders")  # type: ignore[misc]
        yield project


@pytest.fixture
def fleet(shared: Project) -> Project:
    """Those two, running or not, and a third that never ran; no backup."""
    shared.add("bp_new_01", 2)
    for name in ("backups", "database/bp_new_01"):
        shutil.rmtree(shared.folder / "volumes" / name, ignore_errors=True)
    return shared


def database(project: Project, instance: str) -> Path:
    return project.folder / "volumes" / "database" / instance / f"{instance}.db"


def rows(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM orders").fetchall()[0][0])


def backed_up(project: Project, *args: str, code: int = 0) -> Path:
    return Path(project.manager("backup", "--json", *args, code=code).json["file"])


def test_there_and_back(fleet: Project, tmp_path: Path) -> None:
    fleet.manager("up", "--wait", "bp_sol_01", "bp_eth_01")
    before = rows(database(fleet, "bp_sol_01"))
    containers = fleet.ids()
    done = fleet.manager("backup")
    assert "bp_new_01: no database yet" in done.out
    assert "not included: .env, secrets/" in done.out
    (backup,) = (fleet.folder / "volumes" / "backups").glob("*.tar.gz")
    assert (backup.stat().st_mode & 0o777, backup.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert fleet.manager("backup", "verify", str(backup)).out.startswith(
        f"{backup}: valid; fleet {fleet.name}"
    )
    rehearsed = fleet.manager("backup", "verify", "--restore", "--json", str(backup)).json[str(backup)][
        "restored"
    ]
    assert rehearsed["databases"] == 2
    assert rehearsed["rows"] > before
    assert [backup["file"] for backup in fleet.manager("backup", "list", "--json").json] == [str(backup)]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "xzf", str(backup), "-C", str(unpacked)], check=True)
    assert not [path for path in unpacked.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert (
        json.loads((unpacked / "manifest.json").read_text())["image"]["labels"]["botfleet.supervisor"] == "1"
    )

    # what lives is not touched; the dry run says what would be
    refused = fleet.manager("restore", str(backup), code=1)
    assert (
        "nothing was restored, because these instances are in use: bp_eth_01: its container is running;"
        " bp_sol_01: its" in refused.err
    )
    assert fleet.ids() == containers
    dry = fleet.manager("restore", "--dry-run", str(backup), "bp_sol_01", "--json").json
    assert [(change["path"], change["change"]) for change in dry] == [
        ("config/active/bp_sol_01.json", "same"),
        ("volumes/database/bp_sol_01", "replace"),
    ]

    fleet.manager("stop", "bp_sol_01")
    at_the_end = rows(database(fleet, "bp_sol_01"))
    fleet.change("bp_sol_01", daemon_config={"memory_limit_mb": 300})
    done = fleet.manager("restore", str(backup), "bp_sol_01", "--json")
    aside = {result["path"]: fleet.folder / result["aside"] for result in done.json}
    restored = database(fleet, "bp_sol_01")
    assert {path.name for path in restored.parent.iterdir()} == {"bp_sol_01.db", "bp_sol_01.db.lock"}
    assert before <= rows(restored) <= at_the_end
    assert rows(aside["volumes/database/bp_sol_01"] / "bp_sol_01.db") == at_the_end
    assert (
        json.loads(aside["config/active/bp_sol_01.json"].read_text())["daemon_config"]["memory_limit_mb"]
        == 300
    )
    assert restored.stat().st_uid == aside["volumes/database/bp_sol_01"].stat().st_uid
    count = rows(restored)
    fleet.manager("start", "bp_sol_01", "--wait")
    eventually(lambda: rows(restored) > count, what="it trades on the restored database")
    assert fleet.ids().keys() == containers.keys()


def test_a_fresh_machine(fleet: Project, tmp_path: Path) -> None:
    backup = backed_up(fleet)
    fleet.manager("down")
    old = fleet.folder
    fleet.folder = tmp_path / "fresh"
    fleet.folder.mkdir()
    try:
        fleet.manager("--project-dir", str(fleet.folder), "restore", str(backup))
        assert set(fleet.ps()) == {"bp_sol_01", "bp_eth_01", "bp_new_01"}
        count = rows(database(fleet, "bp_sol_01"))
        fleet.manager("up", "--wait", "bp_sol_01")
        eventually(lambda: rows(database(fleet, "bp_sol_01")) > count, what="it trades on")
        fleet.manager("down")
    finally:
        fleet.folder = old


def test_one_database_that_cannot_be_saved_is_named(fleet: Project) -> None:
    bad = database(fleet, "bp_new_01")
    bad.parent.mkdir()
    bad.write_bytes(b"SQLite format 3\0" + os.urandom(8176))
    done = fleet.manager("backup", "--json", code=1)
    assert "backup of bp_new_01 failed" in done.err
    saved = {instance["id"]: bool(instance["faults"]) for instance in done.json["instances"]}
    assert saved == {"bp_sol_01": False, "bp_eth_01": False, "bp_new_01": True}
    assert "bp_new_01 could not be saved" in fleet.manager("backup", "verify", done.json["file"], code=1).err


def test_a_bot_that_lives_elsewhere_keeps_its_database(fleet: Project) -> None:
    """No container of ours is up; a lock that is held, or an open file, is enough."""
    backup = backed_up(fleet, "bp_sol_01")
    fleet.manager("down")
    with closing(sqlite3.connect(database(fleet, "bp_sol_01"))) as reader:
        reader.execute("SELECT 1 FROM orders").fetchall()
        refused = fleet.manager("restore", str(backup), code=1)
        assert f"process {os.getpid()} has " in refused.err
    lock = fleet.folder / "volumes" / "state" / "bp_sol_01" / "supervisor.lock"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert (
            "its lock is held by a supervisor or its bot" in fleet.manager("restore", str(backup), code=1).err
        )
    fleet.manager("restore", str(backup))


def test_a_restore_that_is_killed_is_run_again(fleet: Project) -> None:
    backup = backed_up(fleet, "bp_sol_01")
    fleet.manager("down")
    old = rows(database(fleet, "bp_sol_01"))
    for delay in (0.02, 0.1, 0.2):
        running = fleet.begin("restore", str(backup))
        time.sleep(delay)
        running.kill()
        running.wait()
        assert 0 < rows(database(fleet, "bp_sol_01")) <= old
    fleet.manager("restore", str(backup))
    folder = fleet.folder / "volumes" / "database"
    assert not list(folder.glob(".restoring-*"))
    assert rows(database(fleet, "bp_sol_01")) <= old
    assert old in [rows(path / "bp_sol_01.db") for path in folder.glob("bp_sol_01.before-restore-*")]


def test_old_backups_go_by_count(fleet: Project, tmp_path: Path) -> None:
    """And so does what a killed one left."""
    folder = tmp_path / "elsewhere"
    first, second = (backed_up(fleet, "--to", str(folder)) for _ in range(2))
    left = folder / f".{fleet.name}.work.killed"
    left.mkdir()
    shutil.copy(second, folder / "of-somebody-else.tar.gz")
    third = backed_up(fleet, "--to", str(folder), "--keep", "2")
    assert not first.exists()
    assert second.exists()
    assert third.exists()
    assert not left.exists()
    assert (folder / "of-somebody-else.tar.gz").exists()
    fleet.manager("down")
