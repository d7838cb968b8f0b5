"""`manager import` while the old system runs: nobody is stopped unasked, no bot runs twice, a killed
import begins anew.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from manager.cli import parsers
from manager.cli.commands import import_
from manager.cli.main import main
from manager.errors import TIMED_OUT
from manager.fleet import import_records, project
from manager.fleet.session import Session
from manager.ops.migrate import copies, stop
from tests import cases, managers
from tests.builders import a_config
from tests.fleet import ROOT, Project, eventually
from tests.oldsystem import OldFolder, rows_of

KILLER = """\
import os, signal, sys
left = int(sys.argv.pop(1))
def hook(event, args):
    global left
    if event in {"os.rename", "os.link", "sqlite3.connect"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from manager.cli import main as cli
sys.exit(cli.main(sys.argv[1:]))
"""
"""The command line, killed just before the n-th time that a file gets its name or a database is opened."""

Importer = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(name="old")
def _old(tmp_path: Path) -> OldFolder:
    old = OldFolder(tmp_path / "old")
    old.add("bp_sol_01", a_config("bp_sol_01", None))
    return old


def importer(fleet: Path, old: OldFolder) -> Importer:
    (fleet / "config" / "active").mkdir(parents=True, exist_ok=True)

    def run(*words: str, killed_at: int = 0) -> subprocess.CompletedProcess[str]:
        line = ["--project-dir", str(fleet), "import", str(old.folder), *words]
        environ = {**os.environ, "XDG_CACHE_HOME": str(fleet.parent / "cache")}
        if not killed_at:
            return managers.run(tuple(line), ROOT, environ, 120)
        return subprocess.run(
            [sys.executable, "-c", KILLER, str(killed_at), *line],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=environ,
            timeout=120,
        )

    return run


@pytest.fixture(name="take")
def _take(tmp_path: Path, old: OldFolder) -> Importer:
    return importer(tmp_path / "desk", old)


def content(fleet: Path) -> dict[str, bytes]:
    """Every file of a fleet but the note of the import, which holds inodes."""
    files = (path for path in sorted(fleet.rglob("*")) if path.is_file() and path.name != "imports.json")
    return {str(path.relative_to(fleet)): path.read_bytes() for path in files}


def test_a_killed_import_begins_anew(
    old: OldFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (old.folder / ".env").write_text("A_KEY=1\n")
    before, words = old.content(), ("--yes", "--logs", "--env")

    def again(fleet: Path) -> str:
        line = ["--project-dir", str(fleet), "import", str(old.folder), *words]
        assert import_.import_(Session(fleet), parsers.parser("import").parse_args(line)) == 0
        return capsys.readouterr().out

    whole = tmp_path / "whole" / "desk"
    assert importer(whole, old)(*words).returncode == 0
    kills, moment, step = 0, 1, 1 if cases.is_long else 3
    while True:
        fleet = tmp_path / f"killed-{moment}" / "desk"
        first = importer(fleet, old)(*words, killed_at=moment)
        if first.returncode == 0:
            break
        assert first.returncode == -signal.SIGKILL, first.stderr
        kills, moment = kills + 1, moment + step
        config, database = fleet / "config/active/bp_sol_01.json", fleet / "volumes/database/bp_sol_01.db"
        assert (
            not config.exists() or database.exists()
        )  # nothing could have been started without its database
        again(fleet)
        left = {name: data for name, data in content(fleet).items() if not name.endswith(".tmp")}
        assert left == content(whole)
        assert again(fleet).endswith("nothing to do\n")
    assert (
        kills >= 9 // step
    )  # the database is opened twice; database, logs, memory, config, notes, variables get their names
    assert old.content() == before


def test_a_running_instance_is_refused_by_its_pid_and_goes_on(old: OldFolder, take: Importer) -> None:
    with old.running("bp_sol_01") as daemon:
        (bot,) = daemon.children()
        done = take("--yes")
        assert done.returncode == 1
        assert (
            f"bp_sol_01: refused: running in the old system (processes {daemon.pid}, {bot.pid})"
            in done.stdout
        )
        for name in ("daemon.pid", "bot.pid"):  # as the old command line deleted them
            (old.folder / "logs" / "bp_sol_01" / name).unlink()
        (old.folder / "logs" / "instances.json").unlink()
        done = take("--yes")
        assert f"(processes {daemon.pid}, {bot.pid})" in done.stdout
        assert daemon.is_running()
        assert bot.is_running()


def test_stop_old_stops_the_daemon_and_takes_every_row(
    old: OldFolder, take: Importer, tmp_path: Path
) -> None:
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    with old.running("bp_sol_01") as daemon, old.running("bp_eth_02") as other:
        (bot,) = daemon.children()
        plan = take("bp_sol_01", "--stop-old")
        assert (
            f"bp_sol_01: stop the old daemon: running in the old system (processes {daemon.pid}, {bot.pid})"
            in plan.stdout
        )
        assert daemon.is_running()
        done = take("bp_sol_01", "--stop-old", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert daemon.status() == psutil.STATUS_ZOMBIE  # nobody but the test is there to count it
        assert not psutil.pid_exists(bot.pid)
        assert other.status() != psutil.STATUS_ZOMBIE
    copied = tmp_path / "desk" / "volumes" / "database" / "bp_sol_01.db"
    assert rows_of(copied) == rows_of(old.folder / "database" / "bp_sol_01.db")


@pytest.mark.parametrize(
    "killed_at",
    [pytest.param(2, marks=pytest.mark.long_form), 4, pytest.param(6, marks=pytest.mark.long_form)],
)
def test_what_a_killed_import_has_stopped_is_started_by_the_up_after_the_next_one(
    old: OldFolder, tmp_path: Path, killed_at: int
) -> None:
    """The next import found it down, and noted that a person had stopped it: it stayed down."""
    desk = tmp_path / "desk"
    take, words = importer(desk, old), ("--yes", "--stop-old")
    with old.running("bp_sol_01") as daemon:
        done = take(*words, killed_at=killed_at)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        assert (daemon.status() == psutil.STATUS_ZOMBIE) == (killed_at > 2), "its note comes before its stop"
        assert take(*words).returncode == 0
        assert daemon.status() == psutil.STATUS_ZOMBIE
    assert project.read(desk).fleet_state.of("bp_sol_01").wish == "run"
    assert take(*words).stdout.endswith("nothing to do\n")
    assert not (desk / "volumes" / "state" / import_records.FOLDER / "stopped.json").exists()


def test_an_import_that_is_interrupted_names_what_it_has_stopped(
    old: OldFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "desk" / "config" / "active").mkdir(parents=True)

    def ended(*_more: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    monkeypatch.setattr(copies, "copy_database", ended)
    line = ["--project-dir", str(tmp_path / "desk"), "import", str(old.folder), "--yes", "--stop-old"]
    with old.running("bp_sol_01") as daemon:
        assert main(line) == 128 + signal.SIGTERM
        assert daemon.status() == psutil.STATUS_ZOMBIE
    assert "interrupted in the middle of bp_sol_01" in capsys.readouterr().err
    assert not (tmp_path / "desk" / "config" / "active" / "bp_sol_01.json").exists()


def test_a_bot_that_lost_its_daemon_is_found_and_stopped(old: OldFolder, take: Importer) -> None:
    with old.running("bp_sol_01") as daemon:
        (bot,) = daemon.children()
        daemon.kill()
        eventually(lambda: daemon.status() == psutil.STATUS_ZOMBIE)
        assert f"(processes {bot.pid})" in take("--yes").stdout
        (old.folder / "logs" / "bp_sol_01" / "bot.pid").unlink()
        assert (
            f"bp_sol_01: refused: process {bot.pid} has its database open"
            in take("--yes", "--stop-old").stdout
        )
        (old.folder / "logs" / "bp_sol_01" / "bot.pid").write_text(f"{bot.pid}\n")
        assert take("--yes", "--stop-old").returncode == 0
        assert not bot.is_running() or bot.status() == psutil.STATUS_ZOMBIE


def test_a_bot_that_does_not_end_is_named_and_not_taken(
    old: OldFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stop, "STOP_TIMEOUT_S", 1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "desk" / "config" / "active").mkdir(parents=True)
    line = ["--project-dir", str(tmp_path / "desk"), "import", str(old.folder), "--yes", "--stop-old"]
    with old.running("bp_sol_01", "deaf") as daemon:
        (bot,) = daemon.children()
        assert (
            import_.import_(Session(tmp_path / "desk"), parsers.parser("import").parse_args(line))
            == TIMED_OUT
        )
        assert (
            f"bp_sol_01 did not stop: processes {daemon.pid}, {bot.pid} are still running"
            in capsys.readouterr().err
        )
        assert bot.is_running()
        assert not (tmp_path / "desk" / "config" / "active" / "bp_sol_01.json").exists()


def test_a_pid_file_that_names_anothers_daemon_stops_nobody(old: OldFolder, take: Importer) -> None:
    """Pid files survive a reboot, and their numbers go to other instances' processes too."""
    old.add("bp_eth_02", a_config("bp_eth_02", 5002))
    with old.running("bp_eth_02") as other:
        folder = old.folder / "logs" / "bp_sol_01"
        (folder / "daemon.pid").write_text(str(other.pid))
        (folder / "bot.pid").write_text(str(other.children()[0].pid))
        done = take("bp_sol_01", "--yes", "--stop-old")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "old daemon stopped" not in done.stdout
        assert other.status() != psutil.STATUS_ZOMBIE
        assert other.children()


def test_an_instance_that_was_stopped_and_not_taken_is_said(
    old: OldFolder, take: Importer, tmp_path: Path
) -> None:
    """As on a disk where nothing more can be written."""
    (tmp_path / "desk" / "volumes").mkdir(parents=True)
    (tmp_path / "desk" / "volumes" / "database").write_text("in the way")
    with old.running("bp_sol_01"):
        done = take("--yes", "--stop-old")
    assert done.returncode == 1
    assert "exists and is not a folder" in done.stderr
    assert "bp_sol_01 is not running anywhere: its old daemon was stopped" in done.stderr


def test_somebody_elses_pid_is_sent_no_signal(old: OldFolder, take: Importer) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        folder = old.folder / "logs" / "bp_sol_01"
        for name in ("daemon.pid", "bot.pid"):
            (folder / name).write_text(str(other.pid))
        assert take("--yes", "--stop-old").returncode == 0
        assert other.poll() is None
        other.kill()


@pytest.mark.engine
def test_an_imported_instance_runs_with_its_rows_and_never_beside_its_old_daemon(
    project: Project, old: OldFolder
) -> None:
    path = old.folder / "config" / "active" / "bp_sol_01.json"
    path.write_text(path.read_text().replace('"web_port": null', f'"web_port": {project.first_port}'))
    project.manager("import", str(old.folder), "--yes", "--logs")
    with old.running("bp_sol_01") as daemon:
        done = project.manager("start", "bp_sol_01", code=1)
        assert f"bp_sol_01 is run by the old system in {old.folder} (processes {daemon.pid}, " in done.err
        assert "running in the old system again" in project.manager("import", str(old.folder), code=1).out
    project.manager("up", "--wait")
    assert project.states() == {"bp_sol_01": "running"}
    database = project.folder / "volumes" / "database" / "bp_sol_01" / "bp_sol_01.db"
    assert rows_of(database) == 100
    assert project.instances()["bp_sol_01"]["registered_at"] == "2025-11-30T18:00:00"
    assert project.manager("import", str(old.folder), "--yes", code=0).out.endswith("nothing to do\n")
    assert project.states() == {"bp_sol_01": "running"}
