"""A backup of a project and the way back, without an engine: what is planned, what is done, what is never
lost.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import tarfile
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import pytest

from manager.cli.commands import restore as command
from manager.cli.main import main
from manager.errors import OK, USAGE, Locked, ManagerError
from manager.fleet import project as projects
from manager.fleet import state_file, tombstone
from manager.fleet.lock import HeldLock
from manager.fleet.session import Session
from manager.fleet.state_file import CalledOff, FleetState, InstanceState
from manager.fleet.tombstone import Generation, Tombstone
from manager.ops.backup import archive, instance_locks, make, manifest, restore, swap
from manager.ops.backup.restore import RestoreAction
from manager.ops.folders import instance_folders
from manager.util import moment
from tests.builders import a_config, write_config

STAMP = "20260301-120000"
OWNER = (os.geteuid(), os.getegid())
KEY = "mark3r-key"


def enter_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of two, which is the current one, and no engine."""
    made = a_project(tmp_path / "desk", "bp_eth_01", "bp_sol_01")
    monkeypatch.chdir(made)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    return made


def a_project(folder: Path, *ids: str, name: str = "desk") -> Path:
    """A project folder with configs and a database each, whose one row is the instance's id."""
    (folder / "config" / "active").mkdir(parents=True)
    (folder / "config" / "fleet.toml").write_text(f'name = "{name}"\n')
    (folder / ".env").write_text(f"BACKPACK_KEY={KEY}\n")
    for number, instance_id in enumerate(ids):
        write_config(folder, a_config(instance_id, 5001 + number), instance_id)
        path = database(folder, instance_id)
        path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE t (x)")
            db.execute("INSERT INTO t VALUES (?)", (instance_id,))
            db.commit()
    return folder


def database(folder: Path, instance: str) -> Path:
    return folder / "volumes" / "database" / instance / f"{instance}.db"


def remember(folder: Path, **instances: InstanceState) -> None:
    path = folder / "volumes" / "state" / "fleet.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    state_file.save(path, FleetState("desk", instances))


def row(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("SELECT x FROM t").fetchall()[0][0])


def backup_of(folder: Path) -> make.BackupResult:
    project = projects.read(folder)
    return make.make(project, make.known_instances(project), folder / "backups", None, lambda _saved: None)


def planned(backup: Path, folder: Path, work: Path, *ids: str) -> tuple[restore.Plan, list[RestoreAction]]:
    work.mkdir(exist_ok=True)
    whole = restore.plan_restore(
        restore.open_backup(backup, work), projects.read(folder), list(ids) or None, STAMP
    )
    return whole, whole.actions()


def restored(backup: Path, folder: Path, work: Path, *ids: str) -> list[str]:
    whole, steps = planned(backup, folder, work, *ids)
    done: list[RestoreAction] = []
    restore.perform(whole, steps, OWNER, lambda outcome: done.append(outcome.action))
    return text(done, folder)


def text(steps: list[RestoreAction], folder: Path) -> list[str]:
    return [f"{step.kind} {step.target.relative_to(folder)}" for step in steps]


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    return a_project(tmp_path / "desk", "bp_eth_01", "bp_sol_01")


def test_an_id_that_the_backup_does_not_have_is_answered_with_those_that_it_has(
    sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = backup_of(sandbox).path
    assert main(["--lang", "en", "--project-dir", str(sandbox), "restore", str(backup), "zzz"]) == USAGE
    assert capsys.readouterr().err == f"error: {backup} has no instance zzz; it has: bp_eth_01, bp_sol_01\n"


def test_the_plan_changes_nothing_and_names_everything(sandbox: Path, tmp_path: Path) -> None:
    remember(sandbox, bp_sol_01=InstanceState(web_port=5002))
    made = backup_of(sandbox)
    (sandbox / "config" / "active" / "bp_sol_01.json").write_text(json.dumps(a_config("bp_sol_01", 5009)))
    (sandbox / "config" / "active" / "bp_eth_01.json").unlink()
    before = {path: path.read_bytes() for path in sandbox.rglob("*") if path.is_file()}
    whole, steps = planned(made.path, sandbox, tmp_path / "work")
    assert text(steps, sandbox) == [
        "same config/fleet.toml",
        "new config/active/bp_eth_01.json",
        "replace volumes/database/bp_eth_01",
        "replace config/active/bp_sol_01.json",
        "replace volumes/database/bp_sol_01",
    ]
    assert steps[4].aside == sandbox / "volumes/database" / f"bp_sol_01.before-restore-{STAMP}"
    assert (steps[4].files, whole.named) == (1, None)
    assert {path: path.read_bytes() for path in sandbox.rglob("*") if path.is_file()} == before


def test_nothing_that_was_there_is_lost(sandbox: Path, tmp_path: Path) -> None:
    made = backup_of(sandbox)
    with closing(sqlite3.connect(database(sandbox, "bp_sol_01"))) as db:
        db.execute("UPDATE t SET x = 'later'")
        db.commit()
    (database(sandbox, "bp_sol_01").parent / "bp_sol_01.db-wal").write_text("of the old one")
    (sandbox / "config" / "active" / "bp_sol_01.json").write_text(json.dumps(a_config("bp_sol_01", 5009)))
    restored(made.path, sandbox, tmp_path / "work", "bp_sol_01")
    assert row(database(sandbox, "bp_sol_01")) == "bp_sol_01"
    assert [path.name for path in database(sandbox, "bp_sol_01").parent.iterdir()] == ["bp_sol_01.db"]
    aside = sandbox / "volumes" / "database" / f"bp_sol_01.before-restore-{STAMP}"
    (aside / "bp_sol_01.db-wal").unlink()
    assert row(aside / "bp_sol_01.db") == "later"
    kept = sandbox / "config" / "active" / f"bp_sol_01.json.before-restore-{STAMP}"
    assert json.loads(kept.read_text())["daemon_config"]["web_port"] == 5009
    assert set(projects.read(sandbox).specs) == {"bp_eth_01", "bp_sol_01"}


def test_two_restores_in_one_second_keep_both_olds(sandbox: Path, tmp_path: Path) -> None:
    made = backup_of(sandbox)
    for number in range(3):
        restored(made.path, sandbox, tmp_path / f"work{number}", "bp_sol_01")
    databases = sandbox.glob("volumes/database/bp_sol_01.before-restore-*")
    assert sorted(row(path / "bp_sol_01.db") for path in databases) == ["bp_sol_01"] * 3


def test_a_fresh_folder_becomes_the_fleet_with_its_own_settings(sandbox: Path, tmp_path: Path) -> None:
    (sandbox / "config" / "fleet.toml").write_text('name = "desk"\ndata_dir = "elsewhere"\n')
    (sandbox / "volumes").rename(sandbox / "elsewhere")
    made = backup_of(sandbox)
    fresh = tmp_path / "another-name"
    fresh.mkdir()
    restored(made.path, fresh, tmp_path / "work")
    assert projects.read(fresh).fleet.name == "desk"
    assert row(fresh / "elsewhere" / "database" / "bp_sol_01" / "bp_sol_01.db") == "bp_sol_01"
    assert not (fresh / "volumes").exists()


def test_what_is_remembered_here_is_the_newer_truth(sandbox: Path, tmp_path: Path) -> None:
    remember(sandbox, bp_sol_01=InstanceState("run", 5001), bp_eth_01=InstanceState("stopped", 5002))
    made = backup_of(sandbox)
    remember(sandbox, bp_sol_01=InstanceState("stopped", 5007))
    restored(made.path, sandbox, tmp_path / "work")
    after = projects.read(sandbox).fleet_state.instances
    assert after == {"bp_sol_01": InstanceState("stopped", 5007), "bp_eth_01": InstanceState("stopped", 5002)}


def test_when_it_was_last_stopped_is_no_order_given_to_the_machine_that_restores(
    sandbox: Path, tmp_path: Path
) -> None:
    """A move would take it for a stop that somebody gave meanwhile, and not start the instance."""
    stopped = CalledOff("stop", moment.now())
    remember(sandbox, bp_sol_01=InstanceState("run", 5001, called_off=stopped))
    made = backup_of(sandbox)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    restored(made.path, fresh, tmp_path / "work")
    assert projects.read(fresh).fleet_state.instances == {"bp_sol_01": InstanceState("run", 5001)}
    restored(made.path, sandbox, tmp_path / "again")
    assert projects.read(sandbox).fleet_state.of("bp_sol_01").called_off == stopped


def test_a_machine_that_has_forgotten_a_move_knows_of_it_again(sandbox: Path, tmp_path: Path) -> None:
    """Its newest backup counted as an older copy for the machine that it was moved from."""
    fleet = projects.read(sandbox).fleet
    tombstone.settle(fleet, "bp_sol_01", Generation(2, "ab12"))
    backup = backup_of(sandbox).path
    empty = a_project(tmp_path / "empty", "bp_eth_01", "bp_sol_01")

    def generation_after(held: Generation | None, stone: Tombstone | None = None) -> Generation:
        there = projects.read(empty).fleet
        shutil.rmtree(there.all_secrets_dir, ignore_errors=True)
        if held is not None:
            tombstone.settle(there, "bp_sol_01", held)
        if stone is not None:
            tombstone.bury(there, "bp_sol_01", stone)
        assert main(["--project-dir", str(empty), "restore", str(backup), "bp_sol_01"]) == OK
        assert tombstone.find(there, "bp_sol_01") == stone
        assert tombstone.generation(there, "bp_eth_01") == Generation()
        return tombstone.generation(there, "bp_sol_01")

    assert generation_after(None) == Generation(2, "ab12")
    assert generation_after(Generation(1, "a")) == Generation(2, "ab12")
    assert generation_after(Generation(2, "another")) == Generation(2, "another")
    assert generation_after(None, Tombstone(2, "tokyo", "ab12", 1.0)) == Generation()


def test_an_earlier_versions_backup_does_not_say_by_which_move_it_came(sandbox: Path, tmp_path: Path) -> None:
    """A generation without its move could not be told from the one that another machine trades."""
    tombstone.settle(projects.read(sandbox).fleet, "bp_sol_01", Generation(2, ""))
    backup = backup_of(sandbox).path
    empty = a_project(tmp_path / "empty", "bp_sol_01")
    assert main(["--project-dir", str(empty), "restore", str(backup), "bp_sol_01"]) == OK
    assert tombstone.generation(projects.read(empty).fleet, "bp_sol_01") == Generation()


@pytest.mark.parametrize("move", ["../x", "a\nb", "a" * 65, ["a"]])
def test_a_move_that_is_none_makes_a_backup_invalid(sandbox: Path, tmp_path: Path, move: object) -> None:
    (tmp_path / "work").mkdir()
    content = json.loads(restore.open_backup(backup_of(sandbox).path, tmp_path / "work").manifest.to_json())
    content["instances"]["bp_sol_01"]["move"] = move
    with pytest.raises(ValueError, match="bp_sol_01"):
        manifest.Manifest.from_json(json.dumps(content).encode())


def test_a_config_of_another_name_makes_way(sandbox: Path, tmp_path: Path) -> None:
    made = backup_of(sandbox)
    configs = sandbox / "config" / "active"
    (configs / "bp_sol_01.json").rename(configs / "sol.json")
    done = restored(made.path, sandbox, tmp_path / "work", "bp_sol_01")
    assert done[:2] == ["aside config/active/sol.json", "new config/active/bp_sol_01.json"]
    assert not projects.read(sandbox).problems


def test_another_fleets_memory_is_in_the_way(sandbox: Path, tmp_path: Path) -> None:
    remember(sandbox, bp_sol_01=InstanceState())
    made = backup_of(sandbox)
    other = a_project(tmp_path / "other", name="other")
    (other / "volumes" / "state").mkdir(parents=True)
    state_file.save(other / "volumes" / "state" / "fleet.json", FleetState("other"))
    with pytest.raises(ManagerError, match="belongs to the fleet other"):
        planned(made.path, other, tmp_path / "work")


def test_no_key_is_in_it_and_a_config_that_may_hold_one_is_named(sandbox: Path) -> None:
    write_config(sandbox, a_config("bp_bad_01", 5003, exchange_config={"api_key": KEY}), "bp_bad_01")
    (sandbox / "compose.yaml").write_text(f"services: {{x: {{environment: {{KEY: {KEY}}}}}}}\n")
    (sandbox / "volumes" / "secrets" / "bp_sol_01").mkdir(parents=True)
    (sandbox / "volumes" / "secrets" / "bp_sol_01" / "env.json").write_text(json.dumps({"BACKPACK_KEY": KEY}))
    made = backup_of(sandbox)
    assert made.faults == (
        "config/active/bp_bad_01.json: not in the backup: the config cannot be loaded and may contain a"
        " credential",
    )
    assert not made.manifest.is_complete
    with tarfile.open(made.path) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert "config/active/bp_sol_01.json" in contents
    assert not [name for name, content in contents.items() if KEY.encode() in content]


def test_a_backup_of_one_instance_does_not_stand_for_the_fleet(sandbox: Path) -> None:
    project = projects.read(sandbox)
    made = make.make(project, ["bp_sol_01"], sandbox / "backups", None, lambda _saved: None)
    trailer = archive.read_trailer(made.path)
    assert trailer is not None
    assert (made.manifest.is_complete, trailer.is_full) == (True, False)
    trailer = archive.read_trailer(backup_of(sandbox).path)
    assert trailer is not None
    assert trailer.is_full


def test_one_backup_at_a_time(sandbox: Path) -> None:
    with make._folder_lock(sandbox / "backups", "desk"), pytest.raises(Locked):
        backup_of(sandbox)
    assert backup_of(sandbox).manifest.is_complete


def test_a_backup_that_is_broken_off_leaves_nothing(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.Writer, "close", full)
    with pytest.raises(ManagerError, match="No space left"):
        backup_of(sandbox)
    assert [path.name for path in (sandbox / "backups").iterdir()] == [".desk.lock"]


def test_an_archive_that_is_damaged_later_changes_nothing(
    sandbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between plan and deed: the disk that the backup lies on fails."""
    made = backup_of(sandbox)
    whole, steps = planned(made.path, sandbox, tmp_path / "work")
    made.path.write_bytes(made.path.read_bytes()[:-200])
    before = sorted(sandbox.rglob("*"))
    with pytest.raises(archive.ArchiveError):
        restore.perform(whole, steps, OWNER, lambda _outcome: None)
    assert sorted(sandbox.rglob("*")) == before


def test_a_bot_does_not_start_on_what_a_killed_restore_left(sandbox: Path) -> None:
    project = projects.read(sandbox)
    project.fleet.restoring_dir("bp_sol_01").mkdir()
    with pytest.raises(ManagerError, match="a restore of it was interrupted"):
        instance_folders.prepare(project.specs["bp_sol_01"], project.fleet, OWNER)


def test_what_a_killed_restore_has_not_finished_stays_down(
    sandbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fresh machine: nothing starts without its config, and nothing that a person had stopped."""
    remember(sandbox, bp_sol_01=InstanceState("stopped", 5002))
    made = backup_of(sandbox)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    whole, steps = planned(made.path, fresh, tmp_path / "work")
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(swap, "commit", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        restore.perform(whole, steps, OWNER, lambda _outcome: None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    project = projects.read(fresh)
    assert project.fleet_state.of("bp_sol_01").wish == "stopped"
    assert list(project.specs) == ["bp_eth_01"], "the first one, whose database was next"
    with pytest.raises(ManagerError, match="a restore of it was interrupted"):
        instance_folders.prepare(project.specs["bp_eth_01"], project.fleet, OWNER)


def test_a_restore_after_a_killed_manager_waits_for_what_that_one_started(
    sandbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup_of(sandbox)
    fleet = projects.read(sandbox).fleet
    fleet.lock_file.parent.mkdir(parents=True)
    fleet.lock_file.write_text('{"command": "up", "pid": 1, "since": "now"}')
    waited: list[bool] = []
    monkeypatch.setattr(HeldLock, "wait_for_engine", lambda held: waited.append(held.follows_a_kill))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    asked = {"file": str(made.path), "ids": ["bp_sol_01"], "dry_run": False, "json": False, "lock_wait": 0.0}
    assert command.restore(Session(sandbox), Namespace(**asked)) == 0
    assert waited == [True]


def test_what_lives_is_named_all_at_once(sandbox: Path) -> None:
    fleet = projects.read(sandbox).fleet
    lock = fleet.instance_state_dir("bp_eth_01") / "supervisor.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    both = ["bp_eth_01", "bp_sol_01"]
    with database(sandbox, "bp_sol_01").open(), instance_locks.hold_instance_locks(fleet, both[:1], []):
        with pytest.raises(ManagerError) as caught, instance_locks.hold_instance_locks(fleet, both, []):
            pass
        assert "bp_eth_01: its lock is held by a supervisor or its bot" in str(caught.value)
        assert f"bp_sol_01: process {os.getpid()} has " in str(caught.value)
    with (
        pytest.raises(ManagerError, match="bp_new_01: its container is running"),
        instance_locks.hold_instance_locks(fleet, [], ["bp_new_01"]),
    ):
        pass
    with instance_locks.hold_instance_locks(fleet, both, []):
        pass
