"""What a halt says and leaves behind: locks that are still held, marks that others lift, containers that vanish."""

from __future__ import annotations

import fcntl
import os

import pytest

from manager.errors import FAILED
from manager.fleet import halt_mark
from manager.fleet import project as projects
from manager.fleet.supervisor_state import LOCK_FILE
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
