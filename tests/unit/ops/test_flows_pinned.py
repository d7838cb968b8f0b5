"""A config that belongs to another machine, by its `host`: it is left alone here, and hinders nothing."""

from __future__ import annotations

import json

import pytest

from manager.config import spec
from tests.builders import a_config, a_fleet, a_spec
from tests.fakes.sandbox import Sandbox


def here_is(sandbox: Sandbox, name: str) -> None:
    settings = sandbox.folder / "config" / "fleet.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("host")]
    settings.write_text("\n".join((f'host = "{name}"', *lines)))


@pytest.fixture
def frankfurt(sandbox: Sandbox) -> Sandbox:
    """The machine `frankfurt`, with a config of `tokyo` whose keys and port are not free here."""
    here_is(sandbox, "frankfurt")
    sandbox.config("bp_sol_01", 5001, host="tokyo", mode="live", exchange_config={"api_key": "${TOKYO_KEY}"})
    return sandbox


def test_the_others_start_and_it_is_named_once(frankfurt: Sandbox) -> None:
    output = frankfurt.transcript("up")
    assert output.count("left alone") == 1
    assert "bp_sol_01: left alone: belongs to host tokyo (config/active/bp_sol_01.json)" in output
    assert "bp_eth_02: created" in output
    assert frankfurt.exit_code == 0
    assert "bp_sol_01: left alone" in frankfurt.transcript("plan")
    assert frankfurt.exit_code == 0
    assert frankfurt.states() == {"bp_eth_02": "running"}
    frankfurt.transcript("compose")
    assert "bp_sol_01" not in (frankfurt.folder / "compose.yaml").read_text()


@pytest.mark.parametrize("command", ["up", "start", "restart", "up --dry-run", "upgrade", "config"])
def test_who_names_it_is_told_where_it_belongs(frankfurt: Sandbox, command: str) -> None:
    output = frankfurt.transcript(f"{command} bp_sol_01")
    assert (
        "bp_sol_01 belongs to host tokyo (config/active/bp_sol_01.json: host), and this is frankfurt"
        in output
    )
    assert frankfurt.exit_code == 2
    assert frankfurt.states() == {}


def test_by_its_file_too(frankfurt: Sandbox) -> None:
    output = frankfurt.transcript(f"up --config {frankfurt.folder}/config/active/bp_sol_01.json")
    assert "belongs to host tokyo" in output
    assert frankfurt.exit_code == 2


def test_the_machine_that_it_belongs_to_runs_it(frankfurt: Sandbox) -> None:
    frankfurt.config("bp_sol_01", 5002, host="tokyo")
    here_is(frankfurt, "tokyo")
    assert "bp_sol_01: created" in frankfurt.transcript("up")


def test_what_runs_here_already_goes_on_and_can_be_stopped(sandbox: Sandbox) -> None:
    here_is(sandbox, "frankfurt")
    sandbox.transcript("up")
    sandbox.config("bp_sol_01", 5002, host="tokyo")
    output = sandbox.transcript("up --remove-orphans")
    assert "belongs to host tokyo" in output
    assert "`manager down bp_sol_01` removes it" in output
    assert sandbox.states()["bp_sol_01"] == "running"
    sandbox.transcript("restart bp_sol_01")
    assert sandbox.exit_code == 2
    sandbox.transcript("restart")
    assert sandbox.states()["bp_sol_01"] == "running"
    assert [row["state"] for row in json.loads("\n".join(sandbox.run("ps --json")))] == ["running", "running"]
    sandbox.transcript("halt bp_sol_01")
    assert sandbox.states()["bp_sol_01"] == "exited"
    sandbox.transcript("resume", "resume bp_sol_01", "up", "start")
    assert sandbox.states()["bp_sol_01"] == "exited", "nothing starts it here"
    sandbox.transcript("down")
    assert sandbox.states() == {}


@pytest.mark.parametrize("host", ["Tokyo", "-x", "a b", "x" * 33, 5])
def test_what_is_no_name_of_a_machine_is_refused(sandbox: Sandbox, host: object) -> None:
    sandbox.config("bp_sol_01", 5002, host=host)
    assert "config/active/bp_sol_01.json: host: " in sandbox.transcript("config --check")
    assert sandbox.exit_code == 4


def test_the_key_changes_no_container() -> None:
    fleet = a_fleet()
    pinned = a_spec(host=fleet.host_name)
    assert spec.config_hash(pinned, fleet) == spec.config_hash(a_spec(), fleet)
    assert spec.config_hash(pinned, fleet._replace(host="tokyo")) == spec.config_hash(a_spec(), fleet)
    assert "host" in a_config(host="tokyo")
