"""From the plan to the engine and back: up, recreate, restart, start, stop and down, as transcripts."""

from __future__ import annotations

import fcntl
import json
import os

from manager.errors import EngineError
from manager.fleet.supervisor_state import LOCK_FILE, REPORT_FILE, STATE_FILE
from tests.fakes.desk import ETH, IMAGE, SOL, Desk

MORE_MEMORY = {"memory_limit_mb": 512}


def test_a_day(desk: Desk) -> None:
    desk.goes("""
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
          engine: remove_network desk_default
    """)


def test_a_changed_config_makes_one_container_anew(desk: Desk) -> None:
    desk.play("up")
    desk.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    desk.goes("""
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


def test_restart_applies_a_changed_config(desk: Desk) -> None:
    desk.play("up")
    desk.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    desk.goes("""
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


def test_two_that_change_ports_are_both_gone_before_one_comes(desk: Desk) -> None:
    desk.play("up")
    desk.ports_in_use |= {5001, 5002}
    desk.config("bp_eth_02", 5002)
    desk.config("bp_sol_01", 5001)
    desk.goes("""
        $ up
        bp_eth_02: recreated (config changed, 0.0 s)
        bp_sol_01: recreated (config changed, 0.0 s)
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_orphan_is_named_and_left(desk: Desk) -> None:
    desk.play("up")
    (desk.folder / "config/active/bp_sol_01.json").unlink()
    desk.goes("""
        $ up
        bp_sol_01: left alone: it has no config; --remove-orphans removes it
        nothing to do
        $ down
        bp_sol_01: left alone: it has no config; --remove-orphans removes it
        bp_eth_02: removed (requested, 0.0 s)
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


def test_a_container_that_is_not_ours_keeps_its_name(desk: Desk) -> None:
    desk.engine.create(SOL, {"Image": IMAGE})
    desk.goes("""
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
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "created"}


def test_a_port_that_somebody_has_is_named_and_the_next_up_makes_good(desk: Desk) -> None:
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5002"}]}}}
    desk.engine.start(desk.engine.create("somebodys", {"Image": IMAGE, **taken}))
    desk.goes("""
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
    desk.engine.discard("somebodys")
    desk.goes("""
        $ up
        bp_sol_01: recreated (created but never started, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_a_new_port_that_somebody_has_leaves_the_bot_as_it_is(desk: Desk) -> None:
    desk.play("up")
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5009"}]}}}
    desk.engine.start(desk.engine.create("somebodys", {"Image": IMAGE, **taken}))
    desk.ports_in_use.add(5009)
    desk.config("bp_sol_01", 5009)
    desk.goes("""
        $ up
        bp_sol_01: failed (config changed, 0.0 s)
        error: cannot start bp_sol_01: port 5009 is in use by somebodys; free it, or change daemon_config.web_port in config/active/bp_sol_01.json
          exit code 1
    """)


def test_an_exchange_of_ports_that_cannot_be_made_leaves_both_bots_as_they_are(desk: Desk) -> None:
    """A container that is removed for its port could not be made again: what can fail comes before."""
    desk.play("up")
    desk.ports_in_use |= {5001, 5002}
    desk.config("bp_eth_02", 5002)
    desk.config("bp_sol_01", 5001)
    (desk.folder / "volumes/secrets/bp_sol_01/env.json").unlink()
    (desk.folder / "volumes/secrets/bp_sol_01/.env.next.json/in the way").mkdir(parents=True)
    said = desk.play("up")
    assert desk.exit_code == 1
    assert "engine:" not in said, said
    assert "cannot start bp_eth_02: port 5002 is in use by bp_sol_01" in said
    assert "cannot prepare bp_sol_01: " in said
    assert set(desk.states().values()) == {"running"}
    (desk.folder / "volumes/secrets/bp_sol_01/.env.next.json/in the way").rmdir()
    (desk.folder / "volumes/secrets/bp_sol_01/.env.next.json").rmdir()
    desk.play("up")
    assert desk.exit_code == 0


def test_one_whose_new_port_is_taken_does_not_free_its_old_one(desk: Desk) -> None:
    desk.play("up")
    taken = {"HostConfig": {"PortBindings": {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5009"}]}}}
    desk.engine.start(desk.engine.create("somebodys", {"Image": IMAGE, **taken}))
    desk.ports_in_use |= {5001, 5002, 5009}
    desk.config("bp_eth_02", 5002)
    desk.config("bp_sol_01", 5009)
    said = desk.play("up")
    assert desk.exit_code == 1
    assert "engine:" not in said, said
    assert "cannot start bp_sol_01: port 5009 is in use by somebodys" in said
    assert "cannot start bp_eth_02: port 5002 is in use by bp_sol_01" in said
    assert set(desk.states().values()) == {"running"}


def test_without_a_network_no_half_made_container_is_left(desk: Desk) -> None:
    desk.engine.fails("create_network", EngineError("the engine says: {why}", why="no"))
    desk.goes("""
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


def test_a_network_that_cannot_be_made_is_known_before_a_bot_is_stopped(desk: Desk) -> None:
    desk.play("up")
    desk.engine.lose_network("desk_default")
    desk.config("bp_sol_01", 5002, daemon_config=MORE_MEMORY)
    why = "could not find an available, non-overlapping IPv4 address pool among the defaults"
    desk.engine.fails("create_network", EngineError("the engine says: {why}", why=why))
    desk.goes("""
        $ up
        error: the engine has no addresses left for the network desk_default; `docker network prune` removes unused networks
          engine: create_network desk_default
          exit code 1
    """)
    assert desk.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_no_bot_is_started_beside_one_that_lives_elsewhere(desk: Desk) -> None:
    desk.play("up", "down bp_sol_01")
    lock = os.open(desk.folder / "volumes/state/bp_sol_01" / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        desk.goes("""
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
    assert desk.states() == {"bp_eth_02": "running"}


def test_one_that_comes_to_life_elsewhere_meanwhile_is_seen_before_a_container_is_made(desk: Desk) -> None:
    desk.play("up", "down bp_sol_01")
    path = desk.folder / "volumes/state/bp_sol_01" / LOCK_FILE
    locks: list[int] = []

    def comes_to_life() -> None:
        locks.append(os.open(path, os.O_RDWR | os.O_CREAT))
        fcntl.flock(locks[0], fcntl.LOCK_EX)

    desk.engine.after("containers", comes_to_life)
    try:
        desk.goes("""
            $ up
            bp_sol_01: failed (no container, 0.0 s)
            error: bp_sol_01: its bot is already running in container ID, which is not the instance's own (a one-off, or another engine's); stop it with `docker stop ID`
              exit code 1
        """)
    finally:
        os.close(locks[0])
    assert desk.states() == {"bp_eth_02": "running"}


def test_what_has_completed_comes_back_as_completed_unless_a_person_starts_it(desk: Desk) -> None:
    desk.bots.fate("bp_sol_01", state="completed")
    desk.play("up")
    desk.goes("""
        $ up
        bp_sol_01: left alone: completed (exit code 0); `manager start bp_sol_01` starts it
        nothing to do
    """)
    desk.engine.stop(SOL, 10)  # and so does an engine that is stopped
    desk.bots.fate("bp_sol_01")
    desk.goes("""
        $ up
        bp_sol_01: started (not running, 0.0 s)
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


def test_an_environment_that_changed_restarts_what_runs_and_only_that(desk: Desk) -> None:
    desk.play("up", "stop bp_sol_01")
    for instance in ("bp_eth_02", "bp_sol_01"):
        (desk.folder / "volumes/secrets" / instance / "env.json").unlink()
    desk.goes("""
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


def test_what_is_waited_for_is_named_as_it_becomes_healthy_and_an_end_is_no_lateness(desk: Desk) -> None:
    desk.bots.fate("bp_eth_02", healthy_after=5)
    desk.bots.fate("bp_sol_01", state="completed", healthy_after=2)
    desk.goes("""
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


def test_what_fails_or_is_late_is_named(desk: Desk) -> None:
    desk.bots.fate("bp_eth_02", state="unhealthy")
    desk.bots.fate("bp_sol_01", state="failed", healthy_after=2)
    desk.goes("""
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


def test_what_had_failed_before_and_is_left_alone_is_named_too(desk: Desk) -> None:
    desk.bots.fate("bp_sol_01", state="failed", healthy_after=2)
    desk.play("up --wait")
    desk.goes("""
        $ up --wait
        bp_sol_01: left alone: failed (exit code 1); `manager start bp_sol_01` starts it
        bp_eth_02: healthy, http://127.0.0.1:5001
        error: bp_sol_01 is failed: exit code 1
          exit code 1
    """)


def test_bots_are_given_their_time_and_then_killed(desk: Desk) -> None:
    desk.bots.fate("bp_eth_02", stops_in=7)
    desk.bots.fate("bp_sol_01", stops_in=500)
    desk.play("up")
    desk.goes("""
        $ stop
        bp_eth_02: stopped (requested, 7.0 s)
        bp_sol_01: stopped (requested, 50.0 s)
        error: bp_sol_01 did not stop in time and was killed; it did not report its orders: check the exchange
          engine: stop bp_eth_02
          engine: stop bp_sol_01
          exit code 6
    """)
    assert not (desk.folder / "volumes/state/bp_sol_01" / STATE_FILE).read_text().count('"stopped"')


def test_orders_that_are_left_are_named(desk: Desk) -> None:
    desk.bots.fate("bp_eth_02", open_orders_left=3)
    desk.bots.fate("bp_sol_01", open_orders_left=0)
    desk.play("up")
    desk.goes("""
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


def test_what_the_engine_could_not_start_is_made_anew(desk: Desk) -> None:
    desk.play("up", "stop bp_eth_02")
    desk.engine.set_state(ETH, "exited", 128)
    desk.goes("""
        $ start bp_eth_02
        bp_eth_02: recreated (the engine could not start it, 0.0 s)
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
    """)


def test_what_the_engine_could_not_start_is_made_anew_of_the_image_that_it_had(desk: Desk) -> None:
    desk.play("up", "stop bp_eth_02")
    before = desk.engine.find(ETH).image_id
    desk.engine.set_state(ETH, "exited", 128)
    desk.new_image()
    desk.play("start bp_eth_02")
    assert desk.engine.find(ETH).image_id == before
    assert desk.states()["bp_eth_02"] == "running"


def test_a_new_container_has_no_old_state(desk: Desk) -> None:
    desk.bots.fate("bp_sol_01", open_orders_left=2)
    desk.play("up", "down bp_sol_01")
    assert (desk.folder / "volumes/state/bp_sol_01" / REPORT_FILE).exists()
    desk.play("up")
    assert not (desk.folder / "volumes/state/bp_sol_01" / REPORT_FILE).exists()


def test_what_could_not_be_started_is_not_waited_for(desk: Desk) -> None:
    desk.engine.fails("start", EngineError("the engine says: {why}", why="no"), of=SOL)
    desk.goes("""
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


def test_a_port_is_kept_for_a_container_not_for_an_image_that_is_yet_to_be_built(desk: Desk) -> None:
    """A build takes minutes, in which another fleet may get the port that was free before."""
    desk.config("bp_sol_01", None)
    desk.engine.untag(IMAGE)
    desk.run("up")
    assert desk.exit_code == 1
    desk.new_image()
    desk.ports_in_use = {5002}
    desk.run("up")
    ports = {each["id"]: each["web_port"] for each in json.loads("".join(desk.run("ps --json")))}
    assert ports == {"bp_eth_02": 5001, "bp_sol_01": 5003}
