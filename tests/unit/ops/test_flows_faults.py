"""What goes wrong between the plan and its end: another person, the disk, Ctrl-C, an engine that dies between two calls."""

from __future__ import annotations

import pytest

from manager.errors import EngineError
from manager.fleet import lock
from manager.ops.execution import wait
from tests.fakes.sandbox import ETH, SOL, Sandbox
from tests.unit.ops.test_flows_up import MORE_MEMORY


def test_a_halt_in_the_middle_of_an_up_holds(sandbox: Sandbox) -> None:
    sandbox.engine.after("start", sandbox.meanwhile("halt"))
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: failed (no container, 1.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: bp_eth_02 is not started: the fleet was stopped by force meanwhile
        error: bp_sol_01 is not started: the fleet was stopped by force meanwhile
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_eth_02
          engine: stop bp_eth_02
          exit code 1
        $ up
        bp_eth_02: left alone: halted; `manager resume` starts what ran
        bp_sol_01: left alone: halted; `manager resume` starts what ran
        nothing to do
        $ resume
        bp_sol_01: left alone: it did not run when it was halted
        bp_eth_02: started (not running, 0.0 s)
          engine: start bp_eth_02
    """)


def test_a_halt_between_create_and_start_keeps_the_engine_from_being_asked(sandbox: Sandbox) -> None:
    sandbox.engine.after("create", sandbox.meanwhile("halt"), of=ETH)
    sandbox.assert_transcript("""
        $ up bp_eth_02
        bp_eth_02: failed (no container, 0.2 s)
        error: bp_eth_02 is not started: the fleet was stopped by force meanwhile
          engine: create_network desk_default
          engine: create bp_eth_02
          exit code 1
    """)
    assert sandbox.states() == {"bp_eth_02": "created"}


def test_a_halt_between_the_look_and_the_deed_keeps_everything_down(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop")
    sandbox.engine.after("containers", sandbox.meanwhile("halt"))
    sandbox.assert_transcript("""
        $ start bp_sol_01
        error: the fleet was stopped by force meanwhile; nothing was done
          exit code 1
        $ up
        bp_eth_02: left alone: halted; `manager resume` starts what ran
        bp_sol_01: left alone: halted; `manager resume` starts what ran
        nothing to do
    """)


def test_a_halt_stops_what_another_manager_starts_meanwhile(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.engine.after("stop", lambda: sandbox.engine.start(SOL), of=ETH)
    sandbox.assert_transcript("""
        $ halt
        bp_eth_02: stopped (0.0 s)
        bp_sol_01: stopped (0.0 s)
        ID         CONTAINER       MODE   HOW      SECONDS  REPORTED LEFT  LEFT AT EXCHANGE  OF OTHERS  POSITION LEFT
        bp_eth_02  desk-bp_eth_02  paper  stopped  0.0
        bp_sol_01  desk-bp_sol_01  paper  stopped  0.0
          engine: stop bp_eth_02
          engine: start bp_sol_01
          engine: stop bp_sol_01
    """)
    assert sandbox.states() == {"bp_eth_02": "exited", "bp_sol_01": "exited"}


def test_a_halt_is_taken_back_by_resume_and_by_nothing_else(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    sandbox.assert_transcript("""
        $ halt
        bp_eth_02: stopped (0.0 s)
        ID         CONTAINER       MODE   HOW       SECONDS  REPORTED LEFT  LEFT AT EXCHANGE  OF OTHERS  POSITION LEFT
        bp_eth_02  desk-bp_eth_02  paper  stopped   0.0
        bp_sol_01  desk-bp_sol_01  paper  was down
          engine: stop bp_eth_02
        $ up
        bp_eth_02: left alone: halted; `manager resume` starts what ran
        bp_sol_01: left alone: halted; `manager resume` starts what ran
        nothing to do
        $ resume
        bp_sol_01: left alone: it did not run when it was halted
        bp_eth_02: started (not running, 0.0 s)
          engine: start bp_eth_02
        $ resume
        nothing is halted; `manager up` starts what should run
    """)


def test_a_stop_by_force_passes_the_lock_and_leaves_word(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    with lock.held(sandbox.folder / "volumes/state/fleet.lock", "upgrade") as held:
        sandbox.assert_transcript("""
        $ stop
        bp_eth_02: stopped (requested, 0.0 s)
        bp_sol_01: stopped (requested, 0.0 s)
          engine: stop bp_eth_02
          engine: stop bp_sol_01
        $ stop --force
        bp_eth_02: left alone: not running
        bp_sol_01: left alone: not running
        nothing to do
    """)
        assert held.was_overridden()
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: left alone: stopped by a user; `manager start bp_eth_02` starts it
        bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
        nothing to do
    """)


def test_a_full_disk_stops_no_bot_and_keeps_none_from_being_stopped(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    (sandbox.folder / "volumes/secrets/bp_eth_02/env.json").unlink()
    sandbox.config("bp_eth_02", 5001, daemon_config=MORE_MEMORY)
    with sandbox.full_disk():
        sandbox.assert_transcript("""
            $ up
            bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
            bp_eth_02: failed (config changed, 0.0 s)
            error: cannot prepare bp_eth_02: DIR/volumes/secrets/bp_eth_02/.env.next.json: No space left on device
              exit code 1
            $ restart bp_eth_02
            bp_eth_02: failed (config changed, 0.0 s)
            error: cannot prepare bp_eth_02: DIR/volumes/secrets/bp_eth_02/.env.next.json: No space left on device
              exit code 1
            $ start bp_sol_01
            error: cannot write DIR/volumes/state/fleet.json: No space left on device
              exit code 1
            $ stop bp_eth_02
            bp_eth_02: stopped (requested, 0.0 s)
            warning: cannot write DIR/volumes/logs/instances.json: No space left on device
              engine: stop bp_eth_02
            $ up
            bp_eth_02: left alone: stopped by a user; `manager start bp_eth_02` starts it
            bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
            nothing to do
            warning: cannot write DIR/volumes/logs/instances.json: No space left on device
            $ down
            bp_eth_02: removed (requested, 0.0 s)
            bp_sol_01: removed (requested, 0.0 s)
            warning: cannot write DIR/volumes/logs/instances.json: No space left on device
              engine: remove bp_eth_02
              engine: remove bp_sol_01
              engine: remove_network desk_default
        """)


def test_a_full_disk_halts_all_the_same(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    with sandbox.full_disk():
        sandbox.assert_transcript("""
        $ halt
        bp_eth_02: stopped (0.0 s)
        bp_sol_01: stopped (0.0 s)
        ID         CONTAINER       MODE   HOW      SECONDS  REPORTED LEFT  LEFT AT EXCHANGE  OF OTHERS  POSITION LEFT
        bp_eth_02  desk-bp_eth_02  paper  stopped  0.0
        bp_sol_01  desk-bp_sol_01  paper  stopped  0.0
        warning: cannot write DIR/volumes/logs/instances.json: No space left on device
          engine: stop bp_eth_02
          engine: stop bp_sol_01
    """)


def test_ctrl_c_lets_two_starts_that_are_under_way_end(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop")
    with sandbox.real_threads() as press_ctrl_c:
        sandbox.engine.before("start", press_ctrl_c, of=ETH)
        sandbox.engine.before("start", press_ctrl_c.wait, of=SOL)
        output = sandbox.run("start")
    assert sandbox.exit_code == 130
    assert output[-1] == "error: interrupted: what had begun was finished, and nothing else was begun"
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_an_engine_that_dies_before_a_start(sandbox: Sandbox) -> None:
    sandbox.engine.before("start", sandbox.engine.die, of=SOL)
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: cannot start bp_sol_01: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 5
        $ up
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: recreated (created but never started, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_engine_that_dies_with_a_stop_done_and_its_answer_lost(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.after("stop", sandbox.engine.die, of=SOL)
    sandbox.assert_transcript("""
        $ restart
        bp_eth_02: restarted (requested, 0.0 s)
        bp_sol_01: failed (requested, 0.0 s)
        error: cannot stop bp_sol_01: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: stop bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_sol_01
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: started (not running, 0.0 s)
          engine: start bp_sol_01
    """)


def test_an_engine_that_dies_between_remove_and_create(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    sandbox.engine.after("remove", sandbox.engine.die, of=SOL)
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: failed (config changed, 0.0 s)
        error: cannot remove bp_sol_01: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: created (no container, 0.0 s)
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_engine_that_dies_between_create_and_start(sandbox: Sandbox) -> None:
    sandbox.engine.after("create", sandbox.engine.die, of=SOL)
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: recreated (created but never started, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_engine_that_dies_before_the_last_look_leaves_what_was_done_said(sandbox: Sandbox) -> None:
    sandbox.engine.before("containers", sandbox.engine.die, nth=2)
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 5
    """)


def test_nor_is_it_waited_for_what_a_dead_engine_runs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[object] = []
    monkeypatch.setattr(wait, "until_healthy", lambda *of: waited.append(of))
    sandbox.engine.before("containers", sandbox.engine.die, nth=2)
    assert "error: no Docker Engine answers" in sandbox.transcript("up --wait")
    assert (sandbox.exit_code, waited) == (5, [])


def test_an_engine_that_dies_in_a_halt_is_said_with_who_may_still_trade(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.die()
    sandbox.assert_transcript("""
        $ halt
        error: these bots still run and may trade: bp_eth_02, bp_sol_01
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          exit code 5
        $ stop
        error: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ halt
        bp_eth_02: stopped (0.0 s)
        bp_sol_01: stopped (0.0 s)
        ID         CONTAINER       MODE   HOW      SECONDS  REPORTED LEFT  LEFT AT EXCHANGE  OF OTHERS  POSITION LEFT
        bp_eth_02  desk-bp_eth_02  paper  stopped  0.0
        bp_sol_01  desk-bp_sol_01  paper  stopped  0.0
          engine: stop bp_eth_02
          engine: stop bp_sol_01
    """)


def test_an_engine_that_is_full_says_so_and_the_next_up_makes_good(sandbox: Sandbox) -> None:
    sandbox.engine.fails(
        "start", EngineError("the engine says: {why}", why="no space left on device"), of=ETH
    )
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: failed (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
        error: cannot start bp_eth_02: the engine says: no space left on device
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 1
        $ up
        bp_eth_02: recreated (created but never started, 0.0 s)
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
    """)


def test_a_container_that_vanishes_meanwhile_is_stopped_and_removed(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.before("stop", lambda: sandbox.engine.discard(ETH), of=ETH)
    sandbox.assert_transcript("""
        $ down
        bp_eth_02: removed (requested, 0.0 s)
        bp_sol_01: removed (requested, 0.0 s)
          engine: stop bp_eth_02
          engine: discard bp_eth_02
          engine: remove bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: remove_network desk_default
    """)


def exchange_ports(sandbox: Sandbox) -> None:
    """Have two bots that run get each other's ports."""
    sandbox.transcript("up")
    sandbox.ports_in_use |= {5001, 5002}
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)


@pytest.mark.parametrize("of", [ETH, SOL])
def test_an_exchange_of_ports_of_which_one_does_not_stop_leaves_both_as_they_were(
    sandbox: Sandbox, of: str
) -> None:
    """The other one had been removed, and its new port was still in use: it was left without a container."""
    exchange_ports(sandbox)
    sandbox.engine.fails("stop", EngineError("the engine says: {why}", why="no"), of=of)
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 1
    assert "the engine says: no" in output
    assert "is in use by bp_" in output
    assert set(sandbox.states().values()) == {"running"}
    assert sandbox.transcript("up").count("recreated (config changed") == 2


def test_one_that_cannot_be_removed_runs_on_as_it_was(sandbox: Sandbox) -> None:
    """It had been stopped for its new container, and stayed down."""
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    sandbox.engine.fails("remove", EngineError("the engine says: {why}", why="no"), of=SOL)
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 1
    assert "cannot remove bp_sol_01: the engine says: no" in output
    assert set(sandbox.states().values()) == {"running"}
    assert "bp_sol_01: recreated (config changed" in sandbox.transcript("up")


def test_what_was_down_and_cannot_be_removed_stays_down(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.stop(SOL, 10)
    sandbox.config("bp_sol_01", 5002, strategy_config={"grid_num": 9})
    sandbox.engine.fails("remove", EngineError("busy"), of=SOL)
    assert "cannot remove bp_sol_01: busy" in sandbox.transcript("up bp_sol_01")
    assert sandbox.states()["bp_sol_01"] == "exited"


def test_what_cannot_be_removed_for_its_rollback_runs_on(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade bp_sol_01")
    sandbox.engine.fails("remove", EngineError("busy"), of=SOL)
    assert "cannot remove bp_sol_01: busy" in sandbox.transcript("rollback bp_sol_01")
    assert sandbox.states()["bp_sol_01"] == "running"
