"""What a halt says and leaves behind: locks that are still held, marks that others lift, containers that vanish."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from manager.errors import FAILED
from manager.fleet import halt_mark, lock
from manager.fleet import project as projects
from manager.fleet.supervisor_state import LOCK_FILE
from manager.util import moment
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
