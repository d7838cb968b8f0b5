"""One config that cannot be loaded, or two that conflict, hold up themselves and nobody else."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import yaml

from manager.engine import labels
from tests.fakes.sandbox import Sandbox

LIVE: dict[str, Any] = {
    "mode": "live",
    "exchange_config": {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"},
}


def spoil(sandbox: Sandbox, instance: str) -> None:
    """Save the config as an editor does that was killed in the middle."""
    path = sandbox.folder / "config" / "active" / f"{instance}.json"
    path.write_text(path.read_text()[:-20])


@pytest.fixture
def fleet(sandbox: Sandbox) -> Sandbox:
    """A fleet of two that runs, and a third one that is good and new."""
    sandbox.transcript("up")
    sandbox.config("bp_btc_03", 5003)
    return sandbox


@pytest.mark.parametrize("command", ["up", "start", "restart", "plan"])
def test_the_good_ones_are_started_and_the_bad_ones_container_goes_on(fleet: Sandbox, command: str) -> None:
    spoil(fleet, "bp_sol_01")
    printed = fleet.transcript(command)
    assert "error: config/active/bp_sol_01.json" in printed
    assert "bp_sol_01: left alone: held back because of config/active/bp_sol_01.json" in printed
    assert fleet.exit_code == 4
    assert fleet.states()["bp_sol_01"] == "running"
    assert ("bp_btc_03" in fleet.states()) == (command != "plan")
    assert "engine: stop bp_sol_01" not in printed


def test_an_orphan_is_removed_and_the_container_of_a_bad_file_is_none(fleet: Sandbox) -> None:
    spoil(fleet, "bp_sol_01")
    (fleet.folder / "config" / "active" / "bp_eth_02.json").unlink()
    fleet.transcript("up --remove-orphans")
    assert set(fleet.states()) == {"bp_sol_01", "bp_btc_03"}


def test_resume_brings_back_what_ran_beside_a_file_that_was_spoilt_meanwhile(fleet: Sandbox) -> None:
    fleet.transcript("halt")
    fleet.config("bp_eth_02", 5002)  # the port of the other one
    fleet.config("bp_btc_03", 5003)
    assert fleet.transcript("resume").count("held back because of") == 2
    assert fleet.exit_code == 4
    assert set(fleet.states().values()) == {"exited"}
    fleet.config("bp_eth_02", 5001)
    fleet.transcript("resume")
    assert {*fleet.states().items()} >= {("bp_sol_01", "running"), ("bp_eth_02", "running")}


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"metadata": {"instance_id": "BP_SOL_01"}}, "metadata.instance_id: bp_sol_01 is also used by"),
        ({"port": 5002}, "daemon_config.web_port: 5002 is also used by"),
        (LIVE, "trades SOL_USDC_PERP with the same credentials as"),
    ],
)
def test_twins_are_both_held_back(sandbox: Sandbox, sections: dict[str, Any], reason: str) -> None:
    if sections is LIVE:
        sandbox.config("bp_sol_01", 5002, **LIVE)
    sandbox.config("bp_btc_03", **{"port": 5003, **sections})
    printed = sandbox.transcript("up")
    assert reason in printed
    assert sandbox.exit_code == 4
    assert sandbox.states() == {"bp_eth_02": "running"}


def test_of_three_with_one_id_none_is_started(sandbox: Sandbox) -> None:
    folder = sandbox.folder / "config" / "active"
    for name in ("copy", "copy of copy"):
        shutil.copy(folder / "bp_sol_01.json", folder / f"{name}.json")
    sandbox.transcript("up")
    assert sandbox.states() == {"bp_eth_02": "running"}


@pytest.mark.parametrize("env", [True, False])
def test_a_bad_files_running_bot_counts_as_a_holder_of_its_account(sandbox: Sandbox, env: bool) -> None:
    sandbox.config("bp_sol_01", 5002, **LIVE)
    sandbox.transcript("up")
    env_json = sandbox.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json"
    if not env:
        env_json.unlink()
    spoil(sandbox, "bp_sol_01")
    sandbox.config("bp_btc_03", 5003, **LIVE)
    assert "container desk-bp_sol_01 already trades SOL_USDC_PERP live" in sandbox.transcript("up")
    assert "bp_btc_03" not in sandbox.states()
    (sandbox.folder / ".env").write_text("BACKPACK_KEY=k2\nBACKPACK_SECRET=s2\n")
    printed = sandbox.transcript("up")
    assert ("bp_btc_03" in sandbox.states()) is env, printed  # what cannot be read counts as equal


def test_with_strict_configs_nothing_is_started(fleet: Sandbox) -> None:
    with (fleet.folder / "config" / "fleet.toml").open("a") as stream:
        stream.write("strict_configs = true\n")
    spoil(fleet, "bp_sol_01")
    assert "held back" not in fleet.transcript("up")
    assert fleet.exit_code == 4
    assert "bp_btc_03" not in fleet.states()


def test_faults_of_the_fleets_own_files_hold_up_everything(fleet: Sandbox) -> None:
    (fleet.folder / ".env").write_text("A=1\nB\n")
    assert ".env: line 2: is not NAME=value" in fleet.transcript("up")
    assert (fleet.exit_code, "bp_btc_03" in fleet.states()) == (4, False)
    (fleet.folder / ".env").write_text("A=1\n")
    with (fleet.folder / "config" / "fleet.toml").open("a") as stream:
        stream.write("nmae = 1\n")
    assert "config/fleet.toml: nmae" in fleet.transcript("up")
    assert (fleet.exit_code, "bp_btc_03" in fleet.states()) == (4, False)


def test_compose_yaml_keeps_the_service_of_a_bad_file(sandbox: Sandbox) -> None:
    sandbox.transcript("compose")
    path = sandbox.folder / "compose.yaml"
    before = yaml.safe_load(path.read_text())["services"]
    spoil(sandbox, "bp_sol_01")
    sandbox.config("bp_eth_02", 5022)
    printed = sandbox.transcript("compose")
    assert "error: config/active/bp_sol_01.json" in printed
    assert sandbox.exit_code == 4
    after = yaml.safe_load(path.read_text())["services"]
    assert after["bp_sol_01"] == before["bp_sol_01"]
    assert after["bp_eth_02"]["ports"][0]["target"] == 5022
    text = path.read_text()
    sandbox.transcript("compose")
    assert path.read_text() == text


def test_no_service_is_kept_for_a_config_that_was_removed(sandbox: Sandbox) -> None:
    sandbox.transcript("compose")
    (sandbox.folder / "config" / "active" / "bp_sol_01.json").unlink()
    sandbox.transcript("compose")
    services = yaml.safe_load((sandbox.folder / "compose.yaml").read_text())["services"]
    assert set(services) == {"bp_eth_02"}


def test_a_plan_as_json_names_what_is_held_back(fleet: Sandbox) -> None:
    spoil(fleet, "bp_sol_01")
    printed = fleet.run("plan --json")
    plan = json.loads("\n".join(line for line in printed if not line.startswith(("error", "warning"))))
    kinds = {action["id"]: action["action"] for action in plan}
    assert kinds["bp_sol_01"] == "leave"


@pytest.mark.parametrize(
    "command", ["ps", "list", "stats", "stop", "restart", "halt", "upgrade", "config", "config --check"]
)
def test_a_command_on_one_instance_names_no_other_file(fleet: Sandbox, command: str) -> None:
    """`stop ID` printed the faults of 35 files that nobody had asked about."""
    fleet.transcript("up")
    spoil(fleet, "bp_sol_01")
    assert "bp_sol_01.json" not in fleet.transcript(f"{command} bp_eth_02")
    assert fleet.exit_code == 0
    assert "error: config/active/bp_sol_01.json: is not JSON" in fleet.transcript(f"{command} bp_sol_01")
    if command != "restart":  # `left alone` for the whole fleet, by a test of its own
        assert "error: config/active/bp_sol_01.json: is not JSON" in fleet.transcript(command)


@pytest.mark.parametrize("command", ["ps", "list"])
def test_a_command_on_one_instance_names_no_other_stray(fleet: Sandbox, command: str) -> None:
    """`docker compose run bp_sol_01` left a container: `ps bp_eth_02` told of it each time."""
    fleet.transcript("up")
    body = fleet.engine.inspect("desk-bp_sol_01")["Config"]
    one_off = {**body, "Labels": {**body["Labels"], labels.COMPOSE_ONEOFF: "True"}}
    fleet.engine.create("desk-bp_sol_01-run-1", one_off)
    assert "run-1" not in fleet.transcript(f"{command} bp_eth_02")
    for named in (f"{command} bp_sol_01", command):
        assert "desk-bp_sol_01-run-1 (Created) has the labels of bp_sol_01" in fleet.transcript(named)


@pytest.mark.parametrize("command", ["start", "up", "restart", "plan", "ps", "stop", "logs", "resume"])
def test_an_instance_whose_file_is_broken_is_told_of_that_file_alone(fleet: Sandbox, command: str) -> None:
    """It has no container yet: `start` listed the faults of every other file, `ps` knew no such instance."""
    broken_pair(fleet)
    fleet.config("bp_xrp_05", 0)
    printed = fleet.transcript(f"{command} bp_xrp_05")
    assert "error: config/active/bp_xrp_05.json: daemon_config.web_port: must be 1-65535, not 0" in printed
    assert printed.count("config/active/") == 1
    assert fleet.exit_code == 4


@pytest.mark.parametrize("command", ["start", "up", "plan", "resume"])
def test_a_mistyped_id_beside_broken_files_is_told_what_was_meant(fleet: Sandbox, command: str) -> None:
    broken_pair(fleet)
    printed = fleet.transcript(f"{command} bp_eth_2")
    assert "error: there is no instance bp_eth_2; did you mean bp_eth_02?" in printed
    assert "config/active" not in printed


@pytest.mark.parametrize("command", ["start", "config"])
def test_an_id_that_resembles_none_may_be_that_of_a_file_that_cannot_be_loaded(
    fleet: Sandbox, command: str
) -> None:
    broken_pair(fleet)
    printed = fleet.transcript(f"{command} quite_another")
    assert printed.count("config/active/bp_doge_04.json: is not JSON") == 1
    assert "bp_btc_03" not in printed  # it can be loaded, and has another id


def broken_pair(fleet: Sandbox) -> None:
    """Add a file that is no JSON, and one that lacks its credentials."""
    fleet.config("bp_doge_04", 5004)
    spoil(fleet, "bp_doge_04")
    unset = {"api_key": "${MY_KEY}", "secret_key": "${MY_SECRET}"}
    fleet.config("bp_btc_03", 5003, mode="live", exchange_config=unset)
