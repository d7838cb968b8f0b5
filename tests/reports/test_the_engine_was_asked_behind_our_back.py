"""What people do to containers with docker's own commands is seen, and mended by the command that is next."""

from __future__ import annotations

import pytest

from tests.fakes.desk import ETH, SOL, Desk


@pytest.fixture
def fleet(desk: Desk) -> Desk:
    """A fleet that runs."""
    desk.play("up")
    return desk


@pytest.mark.parametrize("command", ["up", "start", "restart", "start bp_sol_01", "restart bp_sol_01"])
def test_a_bot_without_its_network_is_put_back_by(fleet: Desk, command: str) -> None:
    fleet.engine.disconnect(SOL)
    assert "drifted: network" in fleet.play("ps")
    assert "bp_sol_01: recreate: not on its network" in fleet.play("plan")
    printed = fleet.play(command)
    assert "bp_sol_01: recreated (not on its network" in printed
    assert "bp_eth_02: recreated" not in printed
    assert "drifted" not in fleet.play("ps")


def test_a_halted_bot_without_its_network_is_put_back_by_resume(fleet: Desk) -> None:
    fleet.play("halt")
    fleet.engine.disconnect(SOL)
    assert "bp_sol_01: recreated (not on its network" in fleet.play("resume")
    assert set(fleet.states().values()) == {"running"}


@pytest.mark.parametrize(
    "command", ["start", "restart", "start bp_sol_01 bp_eth_02", "up bp_sol_01 bp_eth_02"]
)
def test_a_network_that_was_pruned_while_all_were_stopped_is_made_again_by(fleet: Desk, command: str) -> None:
    fleet.play("stop")
    fleet.engine.lose_network("desk_default")
    printed = fleet.play(command)
    if "bp_sol_01" in command or command == "start":
        assert "bp_sol_01: recreated (not on its network" in printed
    fleet.play("start bp_sol_01 bp_eth_02")
    assert set(fleet.states().values()) == {"running"}
    assert fleet.exit_code == 0


def test_a_network_that_was_made_anew_is_another_one_to_what_ran_in_the_old_one(fleet: Desk) -> None:
    fleet.play("stop")
    fleet.engine.lose_network("desk_default")
    fleet.config("bp_btc_03", 5003)
    fleet.play("up")
    assert fleet.states()["bp_btc_03"] == "running"
    fleet.goes("""
        $ plan bp_sol_01
        bp_sol_01: recreate: not on its network
        $ start bp_sol_01
        bp_sol_01: recreated (not on its network, 0.0 s)
          engine: remove bp_sol_01
          engine: create bp_sol_01
          engine: start bp_sol_01
    """)


@pytest.mark.parametrize("command", ["restart", "restart bp_sol_01"])
def test_limits_of_docker_update_are_named_by_doctor_and_undone_by_a_restart(
    fleet: Desk, command: str
) -> None:
    own = fleet.engine.inspect(SOL)["HostConfig"]
    fleet.engine.update(SOL, {"RestartPolicy": {"Name": "no"}, "Memory": 64 << 20, "MemorySwap": 64 << 20})
    printed = fleet.play("doctor")
    assert "bp_sol_01 (RestartPolicy, Memory, MemorySwap)" in printed
    assert "bp_eth_02 (" not in printed
    fleet.play(command)
    assert fleet.engine.inspect(SOL)["HostConfig"] == own
    assert "RestartPolicy" not in fleet.play("doctor")


def test_a_restart_changes_nothing_of_a_container_that_nobody_touched(fleet: Desk) -> None:
    printed = fleet.play("restart")
    assert "engine: update" not in printed
    assert ETH in fleet.engine.states()
