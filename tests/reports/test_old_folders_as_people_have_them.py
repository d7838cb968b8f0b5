"""Folders of the old system after a year: shared logs, pids that others have now, configs copied by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.fleet import project as projects
from manager.fleet import state_file
from tests.builders import a_config
from tests.fakes.sandbox import Sandbox
from tests.oldsystem import OldFolder, rows_of

STOCK = {
    "python_path": ".venv/bin/python3",
    "script_path": "run.py",
    "log_dir": "logs",
    "auto_restart": True,
    "bot_args": ["--exchange", "backpack", "--symbol", "SOL_USDC", "--strategy", "standard"],
}


@pytest.fixture
def old(tmp_path: Path) -> OldFolder:
    """A folder with two instances that do not run."""
    folder = OldFolder(tmp_path / "old")
    folder.add("idle_01", a_config("idle_01", 5022))
    folder.add("deaf_01", a_config("deaf_01", 5023))
    return folder


def test_the_sample_is_left_although_all_instances_shared_its_log_folder(
    old: OldFolder, sandbox: Sandbox
) -> None:
    """Every daemon of the old system wrote to logs/DATE, which is the sample's log_dir."""
    (old.folder / "config" / "daemon_config.json").write_text(json.dumps(STOCK))
    (old.folder / "logs" / "2025-11-30").mkdir()
    (old.folder / "logs" / "2025-11-30" / "bot_stdout.log").write_text("of all\n")
    printed = sandbox.transcript(f"import {old.folder} --yes")
    assert "config/daemon_config.json: skip: never ran; `manager import" in printed
    assert "daemon_config" not in projects.read(sandbox.folder).specs
    sandbox.transcript("up")
    assert set(sandbox.states()) == {"bp_eth_02", "bp_sol_01"}


@pytest.mark.parametrize("stamp", ["later", "unreadable", "none"])
def test_a_record_whose_pid_another_program_has_now_holds_nothing_up(
    old: OldFolder, sandbox: Sandbox, stamp: str
) -> None:
    """`list` of the old system refreshed `last_updated` of dead records too."""
    with subprocess.Popen(["sleep", "60"], cwd="/") as other:
        later = (datetime.now() + timedelta(hours=1)).isoformat(timespec="seconds")
        stamps = {"later": later, "unreadable": "yesterday", "none": ""}[stamp]
        keys = dict.fromkeys(("started_at", "registered_at", "last_updated"), stamps)
        path = old.folder / "config" / "active" / "idle_01.json"
        old.register("idle_01", path, 5022, **{**keys, "pid": other.pid})
        printed = sandbox.transcript(f"import {old.folder} --yes --stop-old")
        assert other.poll() is None
        other.kill()
    assert sandbox.exit_code == 0
    assert "idle_01: record: port" not in printed
    assert "stopped, because it did not run" in printed
    assert "refused" not in printed
    sandbox.transcript("up")
    assert "idle_01" not in sandbox.states()


def test_configs_that_were_copied_by_hand_before_are_not_called_imported(
    old: OldFolder, sandbox: Sandbox
) -> None:
    """Their databases and wishes were not taken: `up` started what did not run, without its rows."""
    copied = sandbox.folder / "config" / "active" / "idle_01.json"
    shutil.copy(old.folder / "config" / "active" / "idle_01.json", copied)
    printed = sandbox.transcript(f"import {old.folder} --yes")
    assert "already imported" not in printed
    assert (
        "idle_01: refused: config/active/idle_01.json is there already, but was not imported: move it away,"
        " and import again, which takes its database and whether it ran too"
    ) in printed
    assert sandbox.exit_code == 1
    copied.unlink()
    sandbox.transcript(f"import {old.folder} --yes")
    assert sandbox.exit_code == 0
    assert rows_of(sandbox.folder / "volumes" / "database" / "idle_01.db") == 100
    assert projects.read(sandbox.folder).fleet_state.of("idle_01").wish == "stopped"
    assert "already imported" in sandbox.transcript(f"import {old.folder} --yes")
    assert sandbox.exit_code == 0


SLOW = """
import signal, sys, time
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
print("up", flush=True)
while not told:
    time.sleep(0.05)
time.sleep(float(sys.argv[-1]))
"""
DEAF_FOR_S = 3
"""The old system's daemons needed up to 50 s for their bots' orders."""
Play = Callable[[str], str]


@pytest.fixture
def play(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Play:
    """Run a command of a fleet that sees the processes of this machine; return what it prints."""
    (tmp_path / "fleet" / "config" / "active").mkdir(parents=True)

    def run(command: str) -> str:
        main(["--project-dir", str(tmp_path / "fleet"), *command.split()])
        return capsys.readouterr().out

    return run


@contextmanager
def deaf_daemon(old: OldFolder, *config: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that ends some seconds after SIGTERM."""
    (old.folder / "core" / "daemon_manager.py").write_text(SLOW)
    line = [sys.executable, "core/daemon_manager.py", "start", *config, "--daemon", str(DEAF_FOR_S)]
    with subprocess.Popen(line, cwd=old.folder, stdout=subprocess.PIPE, start_new_session=True) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        try:
            yield daemon
        finally:
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGKILL)


def test_a_daemon_that_is_deaf_for_a_while_is_waited_for_and_its_wish_is_kept(
    old: OldFolder, tmp_path: Path, play: Play
) -> None:
    with deaf_daemon(old, "--config", "config/active/deaf_01.json") as daemon:
        before = old.content()
        planned = play(f"import {old.folder} --stop-old --dry-run")
        assert daemon.poll() is None
        printed = play(f"import {old.folder} --stop-old --yes")
    assert f"deaf_01: stop the old daemon: running in the old system (processes {daemon.pid})" in planned
    assert "deaf_01: old daemon stopped" in printed
    assert daemon.returncode == 0
    assert old.content() == before
    state = projects.read(tmp_path / "fleet").fleet_state
    assert (state.of("deaf_01").wish, state.of("idle_01").wish) == ("run", "stopped")


def test_the_sample_that_runs_now_is_imported(old: OldFolder, tmp_path: Path, play: Play) -> None:
    (old.folder / "config" / "daemon_config.json").write_text(json.dumps(STOCK))
    with deaf_daemon(old):  # its config is the default one
        refused = play(f"import {old.folder}")
        printed = play(f"import {old.folder} --stop-old --yes")
    assert "daemon_config: refused: running in the old system" in refused
    assert "daemon_config: config copied" in printed
    state = projects.read(tmp_path / "fleet").fleet_state
    assert (state.of("daemon_config").wish, state.of("idle_01").wish) == ("run", "stopped")


def test_one_that_ran_after_an_import_that_failed_is_to_run_here(
    old: OldFolder, tmp_path: Path, play: Play
) -> None:
    database = old.folder / "database" / "deaf_01.db"
    sound = database.read_bytes()
    database.write_bytes(b"SQLite format 3\0" + bytes(4096))
    play(f"import {old.folder} deaf_01 --yes")
    fleet = tmp_path / "fleet"
    assert not (fleet / "config" / "active" / "deaf_01.json").exists()
    state_file.update(projects.read(fleet).fleet, lambda state: state.with_wish(["deaf_01"], "stopped"))
    database.write_bytes(sound)
    with deaf_daemon(old, "--config", "config/active/deaf_01.json"):
        printed = play(f"import {old.folder} deaf_01 --stop-old --yes")
    assert "to be started by `manager up`, because it ran" in printed
    assert projects.read(fleet).fleet_state.of("deaf_01").wish == "run"
