"""A config that belongs to another machine, by its `host`: it is left alone here, and hinders nothing."""

from __future__ import annotations

import json

import pytest

from manager.config import spec
from tests.builders import a_config, a_fleet, a_spec
from tests.fakes.desk import Desk


def here_is(desk: Desk, name: str) -> None:
    settings = desk.folder / "config" / "fleet.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("host")]
    settings.write_text("\n".join((f'host = "{name}"', *lines)))


@pytest.fixture
def frankfurt(desk: Desk) -> Desk:
    """The machine `frankfurt`, with a config of `tokyo` whose keys and port are not free here."""
    here_is(desk, "frankfurt")
    desk.config("bp_sol_01", 5001, host="tokyo", mode="live", exchange_config={"api_key": "${TOKYO_KEY}"})
    return desk


def test_the_others_start_and_it_is_named_once(frankfurt: Desk) -> None:
    said = frankfurt.play("up")
    assert said.count("left alone") == 1
    assert "bp_sol_01: left alone: belongs to host tokyo (config/active/bp_sol_01.json)" in said
    assert "bp_eth_02: created" in said
    assert frankfurt.exit_code == 0
    assert "bp_sol_01: left alone" in frankfurt.play("plan")
    assert frankfurt.exit_code == 0
    assert frankfurt.states() == {"bp_eth_02": "running"}
    frankfurt.play("compose")
    assert "bp_sol_01" not in (frankfurt.folder / "compose.yaml").read_text()


@pytest.mark.parametrize("command", ["up", "start", "restart", "up --dry-run", "upgrade", "config"])
def test_who_names_it_is_told_where_it_belongs(frankfurt: Desk, command: str) -> None:
    said = frankfurt.play(f"{command} bp_sol_01")
    assert (
        "bp_sol_01 belongs to host tokyo (config/active/bp_sol_01.json: host), and this is frankfurt" in said
    )
    assert frankfurt.exit_code == 2
    assert frankfurt.states() == {}


def test_by_its_file_too(frankfurt: Desk) -> None:
    said = frankfurt.play(f"up --config {frankfurt.folder}/config/active/bp_sol_01.json")
    assert "belongs to host tokyo" in said
    assert frankfurt.exit_code == 2


def test_the_machine_that_it_belongs_to_runs_it(frankfurt: Desk) -> None:
    frankfurt.config("bp_sol_01", 5002, host="tokyo")
    here_is(frankfurt, "tokyo")
    assert "bp_sol_01: created" in frankfurt.play("up")


def test_what_runs_here_already_goes_on_and_can_be_stopped(desk: Desk) -> None:
    here_is(desk, "frankfurt")
    desk.play("up")
    desk.config("bp_sol_01", 5002, host="tokyo")
    said = desk.play("up --remove-orphans")
    assert "belongs to host tokyo" in said
    assert "`manager down bp_sol_01` removes it" in said
    assert desk.states()["bp_sol_01"] == "running"
    desk.play("restart bp_sol_01")
    assert desk.exit_code == 2
    desk.play("restart")
    assert desk.states()["bp_sol_01"] == "running"
    assert [row["state"] for row in json.loads("\n".join(desk.run("ps --json")))] == ["running", "running"]
    desk.play("halt bp_sol_01")
    assert desk.states()["bp_sol_01"] == "exited"
    desk.play("resume", "resume bp_sol_01", "up", "start")
    assert desk.states()["bp_sol_01"] == "exited", "nothing starts it here"
    desk.play("down")
    assert desk.states() == {}


@pytest.mark.parametrize("host", ["Tokyo", "-x", "a b", "x" * 33, 5])
def test_what_is_no_name_of_a_machine_is_refused(desk: Desk, host: object) -> None:
    desk.config("bp_sol_01", 5002, host=host)
    assert "config/active/bp_sol_01.json: host: " in desk.play("config --check")
    assert desk.exit_code == 4


def test_the_key_changes_no_container() -> None:
    fleet = a_fleet()
    pinned = a_spec(host=fleet.host_name)
    assert spec.config_hash(pinned, fleet) == spec.config_hash(a_spec(), fleet)
    assert spec.config_hash(pinned, fleet._replace(host="tokyo")) == spec.config_hash(a_spec(), fleet)
    assert "host" in a_config(host="tokyo")
