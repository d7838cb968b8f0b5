"""What a start mends or clears before the engine is asked, and what keeps an old container from being restored."""

from __future__ import annotations

import fcntl
import os

from manager.errors import FAILED, EngineError
from manager.fleet.supervisor_state import LOCK_FILE, STATE_FILE
from tests.fakes.desk import SOL, Desk


def test_a_start_undoes_what_docker_update_has_changed(desk: Desk) -> None:
    """Without its restart policy a bot stays down after a reboot."""
    desk.play("up", "stop bp_sol_01")
    made = desk.engine.inspect(SOL)["HostConfig"]
    changed = {"RestartPolicy": {"Name": "no"}, "Memory": 64 << 20, "MemorySwap": 64 << 20}
    desk.engine.update(SOL, changed)
    desk.goes("""
        $ start bp_sol_01
        bp_sol_01: started (not running, not with its limits, not with its restart policy, 0.0 s)
          engine: update bp_sol_01
          engine: start bp_sol_01
        $ restart bp_sol_01
        bp_sol_01: restarted (requested, 0.0 s)
          engine: stop bp_sol_01
          engine: start bp_sol_01
    """)
    mended = desk.engine.inspect(SOL)["HostConfig"]
    assert {name: mended[name] for name in changed} == {name: made[name] for name in changed}


def test_a_bot_starts_though_its_limits_cannot_be_mended(desk: Desk) -> None:
    desk.play("up", "stop bp_sol_01")
    desk.engine.update(SOL, {"RestartPolicy": {"Name": "no"}})
    desk.engine.fails("update", EngineError("no"), of=SOL)
    assert "bp_sol_01: started" in desk.play("start bp_sol_01")


def test_the_state_of_a_run_that_was_killed_is_not_taken_for_the_next_ones(desk: Desk) -> None:
    """It still says that the bot runs and is healthy."""
    desk.play("up")
    state = desk.folder / "volumes/state/bp_sol_01" / STATE_FILE
    desk.engine.find(SOL).program.kill(desk.engine.find(SOL))
    desk.engine.set_state(SOL, "exited", 137)
    assert state.exists()
    was_there: list[bool] = []
    desk.engine.before("start", lambda: was_there.append(state.exists()), of=SOL)
    assert "bp_sol_01: started" in desk.play("up")
    assert was_there == [False]


def test_no_old_container_is_restored_beside_a_bot_that_lives_elsewhere(desk: Desk) -> None:
    desk.play("up")
    desk.new_image()
    desk.play("upgrade")
    lock = os.open(desk.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    desk.engine.after("remove", lambda: fcntl.flock(lock, fcntl.LOCK_EX), of=SOL)
    try:
        said = desk.play("rollback bp_sol_01")
    finally:
        os.close(lock)
    assert desk.exit_code == FAILED
    assert "bp_sol_01: its bot is already running in container" in said
    assert "create bp_sol_01" not in said
