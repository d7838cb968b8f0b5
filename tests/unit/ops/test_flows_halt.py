"""What a halt says and leaves behind: locks that are still held, marks that others lift, containers that vanish,
signals that end it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from manager.config.fleet import Fleet
from manager.errors import FAILED, ManagerError
from manager.fleet import halt_mark, lock
from manager.fleet import project as projects
from manager.fleet.supervisor_state import LOCK_FILE
from manager.ops.backup import instance_locks
from manager.ops.halt import halt as halting
from manager.util import console, moment
from tests.fakes.desk import SOL, Desk


def test_what_still_holds_its_lock_is_not_down(desk: Desk) -> None:
    """Its container has ended, and a supervisor of another engine runs its bot."""
    desk.play("up")
    lock = os.open(desk.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    desk.engine.after("stop", lambda: fcntl.flock(lock, fcntl.LOCK_EX), of=SOL)
    try:
        desk.play("halt bp_eth_02")
        assert desk.exit_code == 0
        desk.play("halt")
        assert desk.exit_code == FAILED
        desk.engine.discard(SOL)
        desk.play("halt")
        assert desk.exit_code == FAILED, "without a container, too"
        (desk.folder / "config/active/bp_sol_01.json").unlink()
        assert "bp_sol_01" in desk.play("halt")
        assert desk.exit_code == FAILED, "and without a config"
    finally:
        os.close(lock)


def test_a_live_container_that_vanishes_leaves_no_answer_of_the_exchange(desk: Desk) -> None:
    """Its bot's own report says that it left nothing, which only the exchange can say."""
    desk.config("bp_sol_01", 5002, mode="live")
    desk.play("up")
    desk.engine.after("stop", lambda: desk.engine.discard(SOL), of=SOL)
    said = desk.play("halt bp_sol_01")
    assert desk.exit_code == FAILED, said
    assert "its container is gone, so the exchange cannot be asked" in said


def test_a_mark_that_is_lifted_during_a_halt_is_set_again_and_flushed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up")
    fleet = projects.read(desk.folder).fleet

    def lift() -> None:
        mark = halt_mark.find(fleet, "bp_sol_01")
        assert mark is not None
        (fleet.secrets_dir("bp_sol_01") / halt_mark.MARK).unlink()
        if (whole := halt_mark.of_fleet(fleet)) is not None:
            halt_mark.lift_of_fleet(fleet, whole)
        assert halt_mark.find(fleet, "bp_sol_01") is None

    flushed: list[list[str]] = []
    monkeypatch.setattr(halt_mark, "sync", lambda _fleet, instances: flushed.append(sorted(instances)))
    desk.engine.after("stop", lift, of=SOL)
    desk.play("halt")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02", "bp_sol_01"}
    assert ["bp_eth_02", "bp_sol_01"] in flushed


def test_who_waits_does_not_start_what_was_halted_before_it_ever_ran(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no folder for a mark yet; `start ID` overrides a halt, but none that is newer."""
    fleet = projects.read(desk.folder).fleet
    really = lock.held

    def held_later(*args: Any, **keywords: Any) -> Any:
        monkeypatch.setattr(lock, "held", really)
        desk.meanwhile("halt bp_sol_01")()
        return really(*args, **keywords)

    monkeypatch.setattr(lock, "held", held_later)
    said = desk.play("start bp_sol_01 --lock-wait 60")
    assert "it is halted" in said
    assert "bp_sol_01" not in desk.states()
    assert halt_mark.own(fleet, "bp_sol_01") is not None
    desk.play("start bp_sol_01")
    assert desk.exit_code == 0


def test_a_typing_error_makes_no_folder(desk: Desk) -> None:
    desk.play("halt bp_sol_10")
    assert not projects.read(desk.folder).fleet.secrets_dir("bp_sol_10").exists()


def test_a_halt_that_leaves_no_mark_of_its_own_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet's mark and fleet.json keep managers from starting it, and no supervisor."""
    desk.play("up")
    really = halt_mark._make

    def refused(folder: Path, *rest: Any, **more: Any) -> None:
        if folder.name == "bp_sol_01":
            raise OSError(errno.EROFS, "Read-only file system")
        really(folder, *rest, **more)

    monkeypatch.setattr(halt_mark, "_make", refused)
    said = desk.play("halt")
    assert "cannot mark bp_sol_01 as halted: Read-only file system" in said
    assert desk.exit_code == FAILED
    monkeypatch.setattr(halt_mark, "_make", really)
    desk.play("halt")
    assert desk.exit_code == 0


def test_what_was_started_under_a_mark_without_content_is_restarted(desk: Desk) -> None:
    desk.play("up", "halt")
    (projects.read(desk.folder).fleet.secrets_dir("bp_sol_01") / halt_mark.MARK).write_text("")
    desk.engine.start(SOL)
    assert "bp_sol_01: restarted (its container is up without its bot" in desk.play("resume")


@pytest.mark.parametrize("command", ["resume", "start bp_sol_01", "up bp_sol_01"])
def test_what_was_started_under_a_mark_without_a_word_of_its_supervisor_is_restarted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """On a full disk its supervisor cannot write that it idles: `docker start`, then `resume` left it idle."""
    desk.play("up", "halt")
    desk.engine.start(SOL)
    really = desk.engine.inspect

    def inspected(container: str) -> dict[str, Any]:
        found = really(container)
        return {**found, "State": {**found["State"], "Pid": os.getpid()}}

    monkeypatch.setattr(desk.engine, "inspect", inspected)
    before, later = moment.Moment("b", 0.0), moment.Moment("b", 1e9)
    monkeypatch.setattr(moment, "of_process", lambda _pid: before)
    assert "restart" not in desk.play(f"{command} --dry-run")
    monkeypatch.setattr(
        moment,
        "of_process",
        lambda pid: later._replace(boot=moment.now().boot) if pid == os.getpid() else before,
    )
    said = desk.play(command)
    assert "bp_sol_01: restarted (its container is up without its bot" in said
    assert desk.states()["bp_sol_01"] == "running"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_halt_that_is_interrupted_before_its_first_mark_says_that_nothing_is_halted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    desk.play("up")
    monkeypatch.setattr(projects, "folders_of", lambda _folder: os.kill(os.getpid(), number))
    said = desk.play("halt")
    assert "interrupted before anything was halted" in said
    assert desk.exit_code == 128 + number
    assert halt_mark.find_all(projects.read(desk.folder).fleet) == {}
    assert set(desk.states().values()) == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_halt_that_is_interrupted_while_it_marks_marks_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    desk.play("up")
    really = halt_mark.make_of_fleet

    def made(fleet: Any) -> None:
        os.kill(os.getpid(), number)
        really(fleet)

    monkeypatch.setattr(halt_mark, "make_of_fleet", made)
    said = desk.play("halt")
    assert "interrupted: 2 instances are marked as halted" in said
    assert "bp_sol_01: stopped" not in said
    assert desk.exit_code == 128 + number
    assert set(halt_mark.find_all(projects.read(desk.folder).fleet)) == {"bp_eth_02", "bp_sol_01"}


def test_a_halt_that_is_interrupted_while_it_stops_names_what_still_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, before = threading.Event(), signal.getsignal(signal.SIGTERM)
    alive = halting.alive

    def look(fleet: Fleet) -> list[str]:
        found = alive(fleet)
        looked.set()
        return found

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert looked.wait(60)

    monkeypatch.setattr(halting, "alive", look)
    desk.play("up")
    desk.engine.before("stop", interrupt, of=SOL)
    said = desk.play("halt")
    assert "these bots still run and may trade: bp_sol_01" in said
    assert "interrupted: 2 instances are marked as halted" in said
    assert desk.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before, "as it was"


def test_the_marks_are_made_before_any_config_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGKILL can only come before what is done first."""
    desk.play("up")
    fleet = projects.read(desk.folder).fleet

    def read(_folder: Path) -> None:
        raise ManagerError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(projects, "read", read)
        desk.play("halt")
    assert set(halt_mark.find_all(fleet)) == {"bp_eth_02", "bp_sol_01"}
    assert halt_mark.of_fleet(fleet) is not None


def test_the_fleets_mark_comes_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone keeps every command from starting anything."""
    desk.play("up")

    def killed(*_of: Any, **_more: Any) -> None:
        raise ManagerError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(halt_mark, "make", killed)
        desk.play("halt")
    desk.engine.stop(SOL, 1)
    assert "bp_sol_01: left alone: halted" in desk.play("up")
    desk.play("halt", "resume")
    assert desk.states()["bp_eth_02"] == "running"


def test_a_halt_whose_lines_cannot_be_printed_is_carried_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up")

    def full(_line: object = "", end: str = "") -> None:
        raise ManagerError("cannot write to standard output: {why}", why="No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(console, "say", full)
        said = desk.play("halt")
    assert said.count("engine: stop") == 2
    assert "cannot write to standard output" in said
    assert desk.exit_code == FAILED


@pytest.mark.skipif(os.geteuid() != 0, reason="links of another user can only be made by root")
@pytest.mark.parametrize("name", ["state", "secrets", "state/bp_sol_01", "secrets/bp_sol_01"])
def test_a_link_in_the_place_of_a_folder_is_named(desk: Desk, tmp_path: Path, name: str) -> None:
    desk.play("up")
    place, elsewhere = desk.folder / "volumes" / name, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    os.lchown(place, 12345, 12345)
    said = desk.play("halt")
    assert said.count("engine: stop") == 2
    assert "the symbolic link" in said
    assert f"DIR/volumes/{name}" in said
    assert desk.exit_code == FAILED


def test_a_restore_that_holds_an_instances_lock_is_no_bot(desk: Desk) -> None:
    """Its bot was down, so that `resume` leaves it down."""
    desk.play("up", "stop bp_sol_01")
    fleet = projects.read(desk.folder).fleet
    (fleet.instance_state_dir("bp_sol_01") / LOCK_FILE).touch()
    with (
        lock.held(fleet.lock_file, "restore"),
        instance_locks.hold_instance_locks(fleet, ["bp_sol_01"], []),
    ):
        said = desk.play("halt")
    assert "STILL RUNS" not in said
    assert desk.exit_code == 0
    assert (mark := halt_mark.own(fleet, "bp_sol_01")) is not None
    assert mark.did_run is False


def test_a_mark_that_cannot_be_lifted_keeps_nobody_else_halted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up", "halt")
    really = halt_mark._remove

    def refused(folder: Path, *rest: Any) -> None:
        if folder.name == "bp_sol_01":
            raise OSError(errno.EPERM, "Operation not permitted")
        really(folder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(halt_mark, "_remove", refused)
        said = desk.play("resume")
        assert "bp_eth_02: started" in said
        assert "error: bp_sol_01 stays halted: cannot lift the mark in DIR/volumes/secrets/bp_sol_01" in said
        assert desk.exit_code == FAILED
        said = desk.play("start bp_eth_02 bp_sol_01")
        assert "error: bp_sol_01 stays halted" in said
        assert desk.exit_code == FAILED
    assert "bp_sol_01: started" in desk.play("resume")
    assert desk.exit_code == 0


def test_a_mark_that_cannot_be_lifted_does_not_keep_a_bot_from_being_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.play("up", "halt", "start bp_sol_01")
    desk.play("halt bp_sol_01")
    desk.engine.start(SOL)

    def refused(*_of: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(halt_mark, "_remove", refused)
    said = desk.play("stop bp_sol_01")
    assert "engine: stop bp_sol_01" in said
    assert "error: bp_sol_01 stays halted" in said
    assert desk.exit_code == FAILED


def test_without_an_inode_and_with_nothing_to_spare_the_export_becomes_the_fleets_mark(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No supervisor sees that mark: what `docker start` starts then runs, and it is said."""
    desk.play("up")
    fleet = projects.read(desk.folder).fleet

    def full(*_of: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, desk.full_disk():
        patch.setattr(halt_mark, "_make", full)
        said = desk.play("halt")
    assert said.count("engine: stop") == 2
    assert "cannot mark bp_eth_02, bp_sol_01 as halted: No space left on device" in said
    assert desk.exit_code == FAILED
    assert halt_mark.of_fleet(fleet) is not None
    assert desk.play("up").count("halted; `manager resume` starts what ran") == 2
    desk.play("resume")
    assert set(desk.states().values()) == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begins", [False, True])
def test_a_halt_that_ends_while_it_is_loaded_says_that_nothing_is_halted(
    number: signal.Signals, begins: bool
) -> None:
    """On a busy machine loading takes seconds."""
    program = (
        "import os, sys; from manager.cli import halt_signals as s; s.take();"
        f" {'s.note_begun();' if begins else ''} os.kill(os.getpid(), {number})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + number
    assert ("interrupted before anything was halted" in ended.stderr) is not begins


@pytest.mark.parametrize("is_released", [False, True])
def test_the_end_of_its_terminal_does_not_end_a_halt_that_is_loaded(is_released: bool) -> None:
    """A command that is no halt of this machine ends with its terminal, as ever."""
    program = (
        "import os; from manager.cli import halt_signals as s; s.take();"
        f" {'s.release();' if is_released else ''} os.kill(os.getpid(), {signal.SIGHUP.value})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == (-signal.SIGHUP if is_released else 0)


def test_an_engine_that_is_away_hides_no_mark_that_is_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a mark, the supervisor stops the bot without the engine."""
    desk.play("up")

    def refused(*_of: Any, **_more: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(halt_mark, "_make", refused)
    desk.engine.die()
    said = desk.play("halt")
    assert "cannot mark bp_eth_02, bp_sol_01 as halted: Read-only file system" in said
    assert "these bots still run and may trade: bp_eth_02, bp_sol_01" in said
