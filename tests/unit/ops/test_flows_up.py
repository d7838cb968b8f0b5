"""From the plan to the engine and back: up, recreate, restart, start, stop and down, as transcripts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from manager.engine import image_build
from manager.errors import EngineError
from manager.fleet import project as projects
from manager.fleet.supervisor_state import LOCK_FILE, REPORT_FILE, STATE_FILE
from manager.ops.execution import desired_state
from tests.fakes.sandbox import ETH, IMAGE, SOL, Sandbox

MORE_MEMORY = {"memory_limit_mb": 512}


def test_a_day(sandbox: Sandbox) -> None:
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
        $ up
        nothing to do
        $ restart bp_sol_01
        bp_sol_01: restarted (requested, 0.0 s)
          engine: stop bp_sol_01
          engine: start bp_sol_01
        $ stop bp_sol_01
        bp_sol_01: stopped (requested, 0.0 s)
          engine: stop bp_sol_01
        $ up
        bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
        nothing to do
        $ start bp_sol_01
        bp_sol_01: started (not running, 0.0 s)
          engine: start bp_sol_01
        $ start bp_sol_01
        bp_sol_01: left alone: already running
        nothing to do
        $ down bp_eth_02
        bp_eth_02: removed (requested, 0.0 s)
          engine: stop bp_eth_02
          engine: remove bp_eth_02
        $ down
        bp_sol_01: removed (requested, 0.0 s)
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: remove_network desk_default
        $ down
        nothing to do
    """)


def test_the_engine_is_asked_what_it_is_while_what_is_wanted_is_recorded(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes it 10 ms; and nothing asks where nothing is to be started."""
    order: list[str] = []

    def noted(name: str, done: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: object) -> Any:
            order.append(name)
            return done(*arguments)

        return do

    monkeypatch.setattr(sandbox.engine, "info", noted("info", sandbox.engine.info))
    monkeypatch.setattr(desired_state, "save_wish", noted("save_wish", desired_state.save_wish))
    sandbox.run("up")
    assert order == ["info", "save_wish"]
    sandbox.run("up")
    assert order[2:] == ["save_wish"]


def test_a_changed_config_makes_one_container_anew(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    sandbox.assert_transcript("""
        $ plan
        bp_sol_01: recreate: config changed
            memory (MiB) 2048 → 512
        $ start bp_sol_01
        bp_sol_01: left alone: already running; `manager up bp_sol_01` applies the changed config
        nothing to do
        $ up
        bp_sol_01: recreated (config changed, 0.0 s)
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
        $ up
        nothing to do
    """)


def test_restart_applies_a_changed_config(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    sandbox.assert_transcript("""
        $ restart
        bp_eth_02: restarted (requested, 0.0 s)
        bp_sol_01: recreated (config changed, 0.0 s)
          engine: stop bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_two_that_change_ports_are_both_down_before_one_comes(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.ports_in_use |= {5001, 5002}
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: recreated (config changed, 0.0 s)
        bp_sol_01: recreated (config changed, 0.0 s)
          engine: stop bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_orphan_is_named_and_left(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    (sandbox.folder / "config/active/bp_sol_01.json").unlink()
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: left alone: it has no config; --remove-orphans removes it
        nothing to do
        $ down
        bp_sol_01: left alone: it has no config; --remove-orphans removes it
        bp_eth_02: removed (requested, 0.0 s)
        warning: bp_sol_01 STILL RUNS (paper, backpack, SOL_USDC_PERP, orders unknown, position unknown): no config names it, and `manager down` leaves it; `manager down bp_sol_01` takes it down
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: remove_network desk_default
        $ up --remove-orphans
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: removed (it has no config, 0.0 s)
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
    """)


def test_a_container_that_is_not_ours_keeps_its_name(sandbox: Sandbox) -> None:
    sandbox.engine.create(SOL, {"Image": IMAGE})
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: cannot create bp_sol_01: the name desk-bp_sol_01 is used by a container outside this fleet; remove or rename it
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          exit code 1
    """)
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "created"}


def test_a_port_that_somebody_has_is_named_and_the_next_up_makes_good(sandbox: Sandbox) -> None:
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5002"}]}}}
    sandbox.engine.start(sandbox.engine.create("somebodys", {"Image": IMAGE, **taken}))
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: cannot start bp_sol_01: port 5002 is in use by somebodys; free it, or change daemon_config.web_port in config/active/bp_sol_01.json
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 1
    """)
    sandbox.engine.discard("somebodys")
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: recreated (created but never started, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_a_new_port_that_somebody_has_leaves_the_bot_as_it_is(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5009"}]}}}
    sandbox.engine.start(sandbox.engine.create("somebodys", {"Image": IMAGE, **taken}))
    sandbox.ports_in_use.add(5009)
    sandbox.config("bp_sol_01", 5009)
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: failed (config changed, 0.0 s)
        error: cannot start bp_sol_01: port 5009 is in use by somebodys; free it, or change daemon_config.web_port in config/active/bp_sol_01.json
          exit code 1
    """)


def test_an_exchange_of_ports_that_cannot_be_made_leaves_both_bots_as_they_are(sandbox: Sandbox) -> None:
    """A container that is removed for its port could not be made again: what can fail comes before."""
    sandbox.transcript("up")
    sandbox.ports_in_use |= {5001, 5002}
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5001)
    (sandbox.folder / "volumes/secrets/bp_sol_01/env.json").unlink()
    (sandbox.folder / "volumes/secrets/bp_sol_01/.env.next.json/in the way").mkdir(parents=True)
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 1
    assert "engine:" not in output, output
    assert "cannot start bp_eth_02: port 5002 is in use by bp_sol_01" in output
    assert "cannot prepare bp_sol_01: " in output
    assert set(sandbox.states().values()) == {"running"}
    (sandbox.folder / "volumes/secrets/bp_sol_01/.env.next.json/in the way").rmdir()
    (sandbox.folder / "volumes/secrets/bp_sol_01/.env.next.json").rmdir()
    sandbox.transcript("up")
    assert sandbox.exit_code == 0


def test_one_whose_new_port_is_taken_does_not_free_its_old_one(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5009"}]}}}
    sandbox.engine.start(sandbox.engine.create("somebodys", {"Image": IMAGE, **taken}))
    sandbox.ports_in_use |= {5001, 5002, 5009}
    sandbox.config("bp_eth_02", 5002)
    sandbox.config("bp_sol_01", 5009)
    output = sandbox.transcript("up")
    assert sandbox.exit_code == 1
    assert "engine:" not in output, output
    assert "cannot start bp_sol_01: port 5009 is in use by somebodys" in output
    assert "cannot start bp_eth_02: port 5002 is in use by bp_sol_01" in output
    assert set(sandbox.states().values()) == {"running"}


def test_without_a_network_no_half_made_container_is_left(sandbox: Sandbox) -> None:
    sandbox.engine.fails("create_network", EngineError("the engine says: {why}", why="no"))
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: failed (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        error: cannot start bp_eth_02: the engine says: no
        error: cannot start bp_sol_01: the engine says: no
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: discard bp_eth_02
          engine: create bp_sol_01
          engine: discard bp_sol_01
          exit code 1
        $ up
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_a_network_that_cannot_be_made_is_known_before_a_bot_is_stopped(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.engine.lose_network("desk_default")
    sandbox.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    why = "could not find an available, non-overlapping IPv4 address pool among the defaults"
    sandbox.engine.fails("create_network", EngineError("the engine says: {why}", why=why))
    sandbox.assert_transcript("""
        $ up
        error: the engine has no addresses left for the network desk_default; `docker network prune` removes unused networks
          engine: create_network desk_default
          exit code 1
    """)
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_no_bot_is_started_beside_one_that_lives_elsewhere(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "down bp_sol_01")
    lock = os.open(sandbox.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        sandbox.assert_transcript("""
            $ up
            bp_sol_01: failed (no container, 0.0 s)
            error: bp_sol_01: its bot is already running in container ID, which is not the instance's own (a one-off, or another engine's); stop it with `docker stop ID`
              exit code 1
            $ stop bp_sol_01
            bp_sol_01: failed (requested, 0.0 s)
            error: bp_sol_01: its bot is already running in container ID, which is not the instance's own (a one-off, or another engine's); stop it with `docker stop ID`
              exit code 1
        """)
    finally:
        os.close(lock)
    assert sandbox.states() == {"bp_eth_02": "running"}


def test_one_that_comes_to_life_elsewhere_meanwhile_is_seen_before_a_container_is_made(
    sandbox: Sandbox,
) -> None:
    sandbox.transcript("up", "down bp_sol_01")
    path = sandbox.folder / "volumes/state/bp_sol_01" / LOCK_FILE
    locks: list[int] = []

    def comes_to_life() -> None:
        locks.append(os.open(path, os.O_RDWR | os.O_CREAT))
        fcntl.flock(locks[0], fcntl.LOCK_EX)

    sandbox.engine.after("containers", comes_to_life)
    try:
        sandbox.assert_transcript("""
            $ up
            bp_sol_01: failed (no container, 0.0 s)
            error: bp_sol_01: its bot is already running in container ID, which is not the instance's own (a one-off, or another engine's); stop it with `docker stop ID`
              exit code 1
        """)
    finally:
        os.close(locks[0])
    assert sandbox.states() == {"bp_eth_02": "running"}


def test_what_has_ended_by_a_limit_is_left_alone_with_that_reason(sandbox: Sandbox) -> None:
    """Its exit code is that of one which is finished."""
    sandbox.bots.set_behaviour("bp_sol_01", state="completed")
    sandbox.transcript("up")
    by_stop_loss = {"code": "stopped_out", "params": {"by": "stop_loss", "limit": "50", "value": "-51.2"}}
    report = {"contract": 2, "final": True, "at": sandbox.clock.time(), "condition": by_stop_loss}
    state_dir = sandbox.folder / "volumes" / "state" / "bp_sol_01"
    (state_dir / "report.json").write_text(json.dumps(report))
    left = "left alone: completed (stopped out: stop loss 50 reached: -51.2)"
    for command in ("up", "start", "restart"):
        lines = sandbox.run(command)
        assert f"bp_sol_01: {left}; `manager start bp_sol_01` starts it" in lines, lines


def test_what_has_completed_comes_back_as_completed_unless_a_person_starts_it(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state="completed")
    sandbox.transcript("up")
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: left alone: completed (unknown: exit code 0); `manager start bp_sol_01` starts it
        nothing to do
    """)
    sandbox.engine.stop(SOL, 10)  # and so does an engine that is stopped
    sandbox.bots.set_behaviour("bp_sol_01")
    sandbox.assert_transcript("""
        $ up
        bp_sol_01: left alone: completed (unknown: exit code 0); `manager start bp_sol_01` starts it
          engine: start bp_sol_01
        $ ps
        ID         MODE   STATE      DOING    P&L  POSITION  EXCHANGE  SYMBOL         STRATEGY   WEB   RESTARTS  SINCE  NOTE
        bp_eth_02  paper  running    unknown                 backpack  SOL_USDC_PERP  perp_grid  5001  0         0s
        bp_sol_01  paper  completed  unknown                 backpack  SOL_USDC_PERP  perp_grid  5002  0         0s     exit code 0
        $ start bp_sol_01
        bp_sol_01: restarted (was completed, 0.0 s)
          engine: stop bp_sol_01
          engine: start bp_sol_01
        $ ps
        ID         MODE   STATE    DOING    P&L  POSITION  EXCHANGE  SYMBOL         STRATEGY   WEB   RESTARTS  SINCE  NOTE
        bp_eth_02  paper  running  unknown                 backpack  SOL_USDC_PERP  perp_grid  5001  0         0s
        bp_sol_01  paper  running  unknown                 backpack  SOL_USDC_PERP  perp_grid  5002  0         0s
    """)


def test_an_environment_that_changed_restarts_what_runs_and_only_that(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    for instance in ("bp_eth_02", "bp_sol_01"):
        (sandbox.folder / "volumes/secrets" / instance / "env.json").unlink()
    sandbox.assert_transcript("""
        $ plan
        bp_eth_02: restart: environment changed
        bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
        $ ps --state stopped
        ID         MODE   STATE    DOING  P&L  POSITION  EXCHANGE  SYMBOL         STRATEGY   WEB   RESTARTS  SINCE  NOTE
        bp_sol_01  paper  stopped                        backpack  SOL_USDC_PERP  perp_grid  5002  0         0s     stopped by a user
        $ up
        bp_sol_01: left alone: stopped by a user; `manager start bp_sol_01` starts it
        bp_eth_02: restarted (environment changed, 0.0 s)
          engine: stop bp_eth_02
          engine: start bp_eth_02
        $ start bp_sol_01
        bp_sol_01: started (not running, 0.0 s)
          engine: start bp_sol_01
    """)


def test_what_is_waited_for_is_named_as_it_becomes_healthy_and_an_end_is_no_lateness(
    sandbox: Sandbox,
) -> None:
    sandbox.bots.set_behaviour("bp_eth_02", healthy_after=5)
    sandbox.bots.set_behaviour("bp_sol_01", state="completed", healthy_after=2)
    sandbox.assert_transcript("""
        $ up --wait
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_what_fails_or_is_late_is_named(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_eth_02", state="unhealthy")
    sandbox.bots.set_behaviour("bp_sol_01", state="failed", healthy_after=2)
    sandbox.assert_transcript("""
        $ up --wait --wait-timeout 20
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: created (no container, 0.0 s)
        error: bp_eth_02 is unhealthy: cause unknown
        error: bp_sol_01 is failed: exit code 1
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 6
    """)


def test_what_had_failed_before_and_is_left_alone_is_named_too(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state="failed", healthy_after=2)
    sandbox.transcript("up --wait")
    sandbox.assert_transcript("""
        $ up --wait
        bp_sol_01: left alone: failed (exit code 1); `manager start bp_sol_01` starts it
        bp_eth_02: healthy, http://127.0.0.1:5001
        error: bp_sol_01 is failed: exit code 1
          exit code 1
    """)


def test_why_it_has_failed_is_what_ps_says_and_not_what_its_log_ends_with(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", state="failed", healthy_after=2)
    sandbox.transcript("up --wait")
    report = {"contract": 2, "final": True, "reason": "the account is blocked", "at": sandbox.clock.time()}
    kept = sandbox.folder / "volumes/state/bp_sol_01" / REPORT_FILE
    kept.write_text(json.dumps({"report": report, "run_ended": True}))
    waited = sandbox.transcript("up --wait")
    assert "error: bp_sol_01 is failed: exit code 1: the account is blocked" in waited
    assert "exit code 1: the account is blocked" in sandbox.transcript("ps")


def test_bots_are_given_their_time_and_then_killed(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_eth_02", stops_in=7)
    sandbox.bots.set_behaviour("bp_sol_01", stops_in=500)
    sandbox.transcript("up")
    sandbox.assert_transcript("""
        $ stop
        bp_eth_02: stopped (requested, 7.0 s)
        bp_sol_01: stopped (requested, 50.0 s)
        error: bp_sol_01 did not stop in time and was killed; it did not report its orders: check the exchange
          engine: stop bp_eth_02
          engine: stop bp_sol_01
          exit code 6
    """)
    assert not (sandbox.folder / "volumes/state/bp_sol_01" / STATE_FILE).read_text().count('"stopped"')


@pytest.mark.parametrize("command", ["stop", "halt"])
def test_a_bot_that_exceeded_its_memory_while_it_stopped_is_told_as_that(
    sandbox: Sandbox, command: str
) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", stops_in=3, is_oom_in_stop=True)
    sandbox.transcript("up")
    output = sandbox.transcript(command)
    assert "bp_sol_01 needed more memory than its limit while it stopped, and was killed" in output
    assert "in time" not in output
    assert sandbox.exit_code == 6


def test_a_bot_that_had_exceeded_its_memory_before_was_stopped_well(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    state_file = sandbox.folder / "volumes/state/bp_sol_01" / STATE_FILE

    def had_been_killed() -> None:
        content = json.loads(state_file.read_text())
        before = {"at": sandbox.clock.time() - 60, "oom": True, "signal": "SIGKILL", "code": None}
        content["last_exit"] = {**content["last_exit"], **before}
        state_file.write_text(json.dumps(content))

    sandbox.engine.after("stop", had_been_killed, of=SOL)
    assert "killed" not in sandbox.transcript("stop")
    assert sandbox.exit_code == 0


def test_orders_that_are_left_are_named(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_eth_02", open_orders_left=3)
    sandbox.bots.set_behaviour("bp_sol_01", open_orders_left=0)
    sandbox.transcript("up")
    sandbox.assert_transcript("""
        $ down
        bp_eth_02: removed (requested, 0.0 s), 3 open orders left
        bp_sol_01: removed (requested, 0.0 s), 0 open orders left
        error: bp_eth_02 has stopped and reported 3 open orders left: check the exchange
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: remove_network desk_default
          exit code 1
    """)


def test_what_the_engine_could_not_start_is_made_anew(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_eth_02")
    sandbox.engine.set_state(ETH, "exited", 128)
    sandbox.assert_transcript("""
        $ start bp_eth_02
        bp_eth_02: recreated (the engine could not start it, 0.0 s)
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
    """)


@pytest.mark.parametrize("command", ["start bp_eth_02", "restart"])
@pytest.mark.parametrize("is_root", [True, False])
@pytest.mark.parametrize(("user", "is_made_anew"), [("4321:4321", True), ("", False)])
def test_a_container_of_another_user_whose_bot_has_said_nothing_is_made_anew(
    sandbox: Sandbox, user: str, command: str, *, is_made_anew: bool, is_root: bool
) -> None:
    before = ("up",) if command == "restart" else ("up", "stop bp_eth_02")
    sandbox.transcript(*before)
    sandbox.engine.has_readable_files = is_root
    container = sandbox.engine.find(ETH)
    container.body = {**container.body, "User": user or container.body["User"]}
    output = sandbox.transcript(command)
    assert "recreated" not in output, "it has written, so it may"
    sandbox.transcript(*before)
    (projects.read(sandbox.folder).fleet.instance_state_dir("bp_eth_02") / STATE_FILE).unlink()
    output = sandbox.transcript(command)
    assert ("engine: create bp_eth_02" in output) is is_made_anew, output


@pytest.mark.parametrize("is_root", [True, False])
@pytest.mark.parametrize(("user", "is_made_anew"), [("4321:4321", True), ("nobody", True), ("", False)])
def test_one_that_runs_as_a_user_who_cannot_write_is_named_and_made_anew_when_asked(
    sandbox: Sandbox, user: str, *, is_made_anew: bool, is_root: bool
) -> None:
    sandbox.transcript("up")
    sandbox.engine.has_readable_files = is_root
    container = sandbox.engine.find(ETH)
    container.body = {**container.body, "User": user or container.body["User"]}
    (projects.read(sandbox.folder).fleet.instance_state_dir("bp_eth_02") / STATE_FILE).unlink()
    if is_root:
        assert ("drifted: user" in sandbox.transcript("ps")) is is_made_anew
    for command in ("plan", "up"):
        output = sandbox.transcript(command)
        assert ("bp_eth_02: left alone: not as its user; `manager restart" in output) is is_made_anew, output
    output = sandbox.transcript("restart bp_eth_02")
    assert ("bp_eth_02: recreated (not as its user" in output) is is_made_anew, output


def test_what_the_engine_could_not_start_is_made_anew_of_the_image_that_it_had(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_eth_02")
    before = sandbox.engine.find(ETH).image_id
    sandbox.engine.set_state(ETH, "exited", 128)
    sandbox.new_image()
    sandbox.transcript("start bp_eth_02")
    assert sandbox.engine.find(ETH).image_id == before
    assert sandbox.states()["bp_eth_02"] == "running"


def test_a_new_container_has_no_old_state(sandbox: Sandbox) -> None:
    sandbox.bots.set_behaviour("bp_sol_01", open_orders_left=2)
    sandbox.transcript("up", "down bp_sol_01")
    assert (sandbox.folder / "volumes/state/bp_sol_01" / REPORT_FILE).exists()
    sandbox.transcript("up")
    assert not (sandbox.folder / "volumes/state/bp_sol_01" / REPORT_FILE).exists()


def test_what_could_not_be_started_is_not_waited_for(sandbox: Sandbox) -> None:
    sandbox.engine.fails("start", EngineError("the engine says: {why}", why="no"), of=SOL)
    sandbox.assert_transcript("""
        $ up --wait
        bp_eth_02: created (no container, 0.0 s)
        bp_sol_01: failed (no container, 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
        error: cannot start bp_sol_01: the engine says: no
          engine: create_network desk_default
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 1
    """)


def test_a_port_is_kept_for_a_container_not_for_an_image_that_is_yet_to_be_built(sandbox: Sandbox) -> None:
    """A build takes minutes, in which another fleet may get the port that was free before."""
    sandbox.config("bp_sol_01", None)
    sandbox.engine.untag(IMAGE)
    sandbox.run("up")
    assert sandbox.exit_code == 1
    sandbox.new_image()
    sandbox.ports_in_use = {5002}
    sandbox.run("up")
    ports = {row["id"]: row["web_port"] for row in json.loads("".join(sandbox.run("ps --json")))}
    assert ports == {"bp_eth_02": 5001, "bp_sol_01": 5003}


def test_the_calls_after_a_transcript_are_those_of_its_last_command(sandbox: Sandbox) -> None:
    sandbox.transcript("up", "stop bp_sol_01")
    assert sandbox.calls() == ["stop bp_sol_01"]


def test_what_was_warned_of_before_the_image_is_built_is_not_repeated(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_arguments: object, **_options: object) -> str:
        return sandbox.new_image()

    monkeypatch.setattr(image_build, "build_image", build)
    sandbox.engine.untag(IMAGE)
    (sandbox.folder / "config/fleet.toml").write_text('name = "desk"\n')  # and no image of one's own
    (sandbox.folder / "config/active/.#bp_sol_01.json").write_text("{}")
    output = sandbox.transcript("up")
    assert "does not exist: building it" in output
    assert "bp_sol_01: created" in output
    assert output.count("ignores files whose names begin with a dot") == 1, output
