"""A roll-out and its way back, from the plan to the engine, as transcripts."""

from __future__ import annotations

import pytest

from manager.ops.rollout import rollout_plan
from tests.fakes.sandbox import ETH, SOL, Sandbox


def test_one_first_and_then_the_rest(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.assert_transcript("""
        $ upgrade
        nothing to upgrade
    """)
    sandbox.new_image()
    sandbox.assert_transcript("""
        $ up
        nothing to do
        2 of the instances run an older image; `manager upgrade` upgrades them: bp_eth_02, bp_sol_01
        $ upgrade --dry-run
        canary: bp_eth_02: new image
        batch 2: bp_sol_01: new image
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: recreated (new image, 0.0 s)
        bp_eth_02: healthy after 0.5 s
        bp_eth_02: ready
        batch 2 of 2: bp_sol_01
        bp_sol_01: stopping (new image)
        bp_sol_01: recreated (new image, 0.0 s)
        bp_sol_01: healthy after 0.5 s
        bp_sol_01: ready
        upgraded: bp_eth_02, bp_sol_01
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
        $ upgrade
        nothing to upgrade
        $ rollback
        bp_eth_02: rolled back (requested, 0.0 s)
        bp_sol_01: rolled back (requested, 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
        bp_sol_01: healthy, http://127.0.0.1:5002
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_a_canary_that_fails_is_put_back_and_nobody_follows(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.bots.set_behaviour("bp_eth_02", state="failed", healthy_after=3)
    sandbox.engine.before("start", sandbox.bots.behaviours.clear, of=ETH, nth=2)
    sandbox.assert_transcript("""
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: recreated (new image, 0.0 s)
        bp_eth_02: rolled back (it is failed (exit code 1), 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
        not reached: bp_sol_01
        the roll-out has stopped: bp_eth_02: it is failed (exit code 1)
        error: bp_eth_02: rolled back: it is failed (exit code 1)
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          exit code 1
        $ up
        bp_eth_02: left alone: rolled back (config HASH with image HASH was rejected: it is failed (exit code 1)); `manager upgrade bp_eth_02` tries again
        nothing to do
        1 of the instances runs an older image; `manager upgrade` upgrades them: bp_sol_01
    """)


def test_one_that_does_not_become_healthy_in_time_is_put_back(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.bots.set_behaviour("bp_eth_02", state="unhealthy")
    sandbox.engine.before("start", sandbox.bots.behaviours.clear, of=ETH, nth=2)
    sandbox.assert_transcript("""
        $ upgrade --wait-timeout 20
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: recreated (new image, 0.0 s)
        bp_eth_02: rolled back (it was not healthy in time (unhealthy), 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
        not reached: bp_sol_01
        the roll-out has stopped: bp_eth_02: it was not healthy in time (unhealthy)
        error: bp_eth_02: rolled back: it was not healthy in time (unhealthy)
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          exit code 1
    """)


def test_an_upgrade_whose_engine_dies_goes_on_where_it_was(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.engine.after("remove", sandbox.engine.die, of=ETH)
    sandbox.assert_transcript("""
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: failed (new image, 0.0 s)
        not reached: bp_sol_01
        the roll-out has stopped: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
        error: bp_eth_02: FAILED: no Docker Engine answers (unix:///fake.sock: [Errno 111] Connection refused); start it, or run `make engine`
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          exit code 5
    """)
    sandbox.engine.come_back()
    sandbox.assert_transcript("""
        $ up
        bp_eth_02: created (no container, 0.0 s)
        1 of the instances runs an older image; `manager upgrade` upgrades them: bp_sol_01
          engine: create bp_eth_02
          engine: start bp_eth_02
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: healthy after 0.5 s
        bp_eth_02: ready
        batch 2 of 2: bp_sol_01
        bp_sol_01: stopping (new image)
        bp_sol_01: recreated (new image, 0.0 s)
        bp_sol_01: healthy after 0.5 s
        bp_sol_01: ready
        upgraded: bp_eth_02, bp_sol_01
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_a_halt_in_the_middle_of_an_upgrade_holds(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.engine.after("start", sandbox.meanwhile("halt"), of=ETH)
    sandbox.assert_transcript("""
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: failed (new image, 1.0 s)
        not reached: bp_sol_01
        the roll-out has stopped: bp_eth_02: bp_eth_02 is not started: the fleet was stopped by force meanwhile
        error: bp_eth_02: FAILED: bp_eth_02 is not started: the fleet was stopped by force meanwhile
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: stop bp_eth_02
          engine: stop bp_sol_01
          engine: stop bp_eth_02
          exit code 1
        $ up
        bp_eth_02: left alone: halted; `manager resume` starts what ran
        bp_sol_01: left alone: halted; `manager resume` starts what ran
        nothing to do
        $ resume
        bp_eth_02: started (not running, 0.0 s)
        bp_sol_01: started (not running, 0.0 s)
        1 of the instances runs an older image; `manager upgrade` upgrades them: bp_sol_01
          engine: start bp_eth_02
          engine: start bp_sol_01
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: healthy after 0.5 s
        bp_eth_02: ready
        batch 2 of 2: bp_sol_01
        bp_sol_01: stopping (new image)
        bp_sol_01: recreated (new image, 0.0 s)
        bp_sol_01: healthy after 0.5 s
        bp_sol_01: ready
        upgraded: bp_eth_02, bp_sol_01
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_image_that_is_built_meanwhile_stops_the_roll_out(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.engine.after("start", sandbox.new_image, of=ETH)
    sandbox.assert_transcript("""
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: recreated (new image, 0.0 s)
        bp_eth_02: healthy after 0.5 s
        bp_eth_02: ready
        batch 2 of 2: bp_sol_01
        upgraded: bp_eth_02
        the roll-out has stopped: the image desk-bot:local has changed meanwhile
        error: bp_sol_01: FAILED: the image desk-bot:local has changed meanwhile
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          exit code 1
    """)


def test_a_full_disk_is_known_before_the_first_is_touched(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    with sandbox.full_disk():
        sandbox.assert_transcript("""
            $ upgrade
            canary: bp_eth_02
            not reached: bp_sol_01
            the roll-out has stopped: cannot write DIR/volumes/secrets/.rollback/bp_eth_02.json: No space left on device
            error: bp_eth_02: FAILED: cannot write DIR/volumes/secrets/.rollback/bp_eth_02.json: No space left on device
              engine: tag desk-bot:rollback-bdd295acb985
              engine: untag desk-bot:rollback-bdd295acb985
              exit code 1
        """)
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "running"}


def test_what_cannot_be_started_is_put_back(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.engine.ports_taken.add(5002)
    sandbox.engine.after("create", sandbox.engine.ports_taken.clear, of=SOL, nth=2)
    sandbox.assert_transcript("""
        $ upgrade --canary bp_sol_01
        canary: bp_sol_01
        bp_sol_01: stopping (new image)
        bp_sol_01: failed (new image, 0.0 s)
        bp_sol_01: rolled back (cannot start bp_sol_01: port 5002 is in use by another program; free it, or change daemon_config.web_port in config/active/bp_sol_01.json, 0.0 s)
        bp_sol_01: healthy, http://127.0.0.1:5002
        not reached: bp_eth_02
        the roll-out has stopped: bp_sol_01: cannot start bp_sol_01: port 5002 is in use by another program; free it, or change daemon_config.web_port in config/active/bp_sol_01.json
        error: bp_sol_01: rolled back: cannot start bp_sol_01: port 5002 is in use by another program; free it, or change daemon_config.web_port in config/active/bp_sol_01.json
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
          exit code 1
    """)


def test_what_was_down_is_brought_back_and_stays_down(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.transcript("upgrade", "stop bp_sol_01")
    sandbox.assert_transcript("""
        $ rollback
        bp_eth_02: rolled back (requested, 0.0 s)
        bp_sol_01: rolled back (not running, so it stays stopped, 0.0 s)
        bp_eth_02: healthy, http://127.0.0.1:5001
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: remove bp_sol_01
          engine: create bp_sol_01
    """)
    assert sandbox.states() == {"bp_eth_02": "running", "bp_sol_01": "created"}


def test_an_exchange_that_is_away_is_waited_for_and_said(sandbox: Sandbox) -> None:
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.bots.set_behaviour("bp_eth_02", away_for=10)
    sandbox.assert_transcript("""
        $ upgrade
        canary: bp_eth_02
        bp_eth_02: stopping (new image)
        bp_eth_02: recreated (new image, 0.0 s)
        bp_eth_02: it cannot trade: the exchange is under maintenance; waiting up to 30 min until it can
        bp_eth_02: healthy after 10.0 s
        bp_eth_02: ready
        batch 2 of 2: bp_sol_01
        bp_sol_01: stopping (new image)
        bp_sol_01: recreated (new image, 0.0 s)
        bp_sol_01: healthy after 0.5 s
        bp_sol_01: ready
        upgraded: bp_eth_02, bp_sol_01
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_eth_02
          engine: remove bp_eth_02
          engine: create bp_eth_02
          engine: start bp_eth_02
          engine: tag desk-bot:rollback-bdd295acb985
          engine: stop bp_sol_01
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


def test_an_exchange_that_stays_away_ends_the_roll_out_and_nothing_is_put_back(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_plan, "DEGRADED_MOST_S", 60.0)
    sandbox.transcript("up")
    sandbox.new_image()
    sandbox.bots.set_behaviour("bp_eth_02", away_for=1000)
    shown = sandbox.transcript("upgrade")
    why = "it has not been able to trade for 1 min (the exchange is under maintenance), so the upgrade is not proven"
    assert f"error: bp_eth_02: FAILED: {why}; it stays upgraded" in shown
    assert "the roll-out has stopped: bp_eth_02 cannot trade: the exchange is under maintenance" in shown
    assert "not reached: bp_sol_01" in shown
    assert shown.endswith("exit code 6")
    assert shown.count("engine: create") == 1
    assert "canary: bp_sol_01" in sandbox.transcript("upgrade"), "and it goes on with the others"
