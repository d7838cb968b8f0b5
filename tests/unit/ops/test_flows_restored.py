"""What a start mends or clears before the engine is asked, and what keeps an old container from being restored."""

from __future__ import annotations

import fcntl
import os

from manager.errors import FAILED, EngineError
from manager.fleet.supervisor_state import LOCK_FILE, STATE_FILE
from tests.fakes.sandbox import IMAGE, SOL, Sandbox


def test_a_start_undoes_what_docker_update_has_changed(sandbox: Sandbox) -> None:
    """Without its restart policy a bot stays down after a reboot."""
    sandbox.transcript("up", "stop bp_sol_01")
    made = sandbox.engine.inspect(SOL)["HostConfig"]
    changed = {"RestartPolicy": {"Name": "no"}, "Memory": 64 << 20, "MemorySwap": 64 << 20}
    sandbox.engine.update(SOL, changed)
    sandbox.assert_transcript("""
        $ start bp_sol_01
        bp_sol_01: started (not running, not with its limits, not with its restart policy, 0.0 s)
          engine: update bp_sol_01
          engine: start bp_sol_01
        $ restart bp_sol_01
        bp_sol_01: restarted (requested, 0.0 s)
          engine: stop bp_sol_01
          engine: start bp_sol_01
    """)
    mended = sandbox.engine.inspect(SOL)["HostConfig"]
    assert {name: mended[name] for name in changed} == {name: made[name] for name in changed}


def test_a_bot_starts_though_its_limits_cannot_be_mended(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.engine.update(SOL, {"RestartPolicy": {"Name": "no"}})
    sandbox.engine.fails("update", EngineError("no"), of=SOL)
    assert "bp_sol_01: started" in sandbox.transcript("start bp_sol_01")


def test_the_state_of_a_run_that_was_killed_is_not_taken_for_the_next_ones(sandbox: Sandbox) -> None:
    """It still says that the bot runs and is healthy."""
    sandbox.transcript("up")
    state = sandbox.folder / "volumes/state/bp_sol_01" / STATE_FILE
    sandbox.engine.find(SOL).program.kill(sandbox.engine.find(SOL))
    sandbox.engine.set_state(SOL, "exited", 137)
    assert state.exists()
    was_there: list[bool] = []
    sandbox.engine.before("start", lambda: was_there.append(state.exists()), of=SOL)
    assert "bp_sol_01: started" in sandbox.transcript("up")
    assert was_there == [False]


def test_no_old_container_is_restored_beside_a_bot_that_lives_elsewhere(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    lock = os.open(sandbox.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    sandbox.engine.after("remove", lambda: fcntl.flock(lock, fcntl.LOCK_EX), of=SOL)
    try:
        output = sandbox.transcript("rollback bp_sol_01")
    finally:
        os.close(lock)
    assert sandbox.exit_code == FAILED
    assert "bp_sol_01: its bot is already running in container" in output
    assert "create bp_sol_01" not in output


def test_an_up_undoes_a_docker_update_of_a_bot_that_runs_without_stopping_it(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    made = sandbox.engine.inspect(SOL)["HostConfig"]["RestartPolicy"]
    sandbox.engine.update(SOL, {"RestartPolicy": {"Name": "no"}})
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: updated (not with its restart policy, 0.0 s)
          engine: update bp_sol_01
        $ up
        nothing to do
    """)
    assert sandbox.engine.inspect(SOL)["HostConfig"]["RestartPolicy"] == made


def test_that_somebody_has_taken_the_name_of_an_old_container_is_said(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade")
    sandbox.engine.after("remove", lambda: sandbox.engine.create(SOL, {"Image": IMAGE}), of=SOL)
    output = sandbox.transcript("rollback bp_sol_01")
    assert "cannot create bp_sol_01: the name desk-bp_sol_01 is used by a container outside" in output
