"""The stack file for a Swarm: what Swarm must be told of every service, and what is never in the file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from manager.engine import labels, swarm_stack
from manager.engine.swarm_stack import Placement
from tests.builders import a_fleet, a_spec

IMAGE = f"sha256:{'ab' * 32}"


def a_place(node: str = "node1", machine: str = "tokyo") -> Placement:
    return Placement(node, machine, "/srv/desk/volumes", 10001, 10002, "botfleet-0123", "./volumes/x.json")


def stack(*ids: str, **sections: Any) -> dict[str, Any]:
    """Return what a YAML reader finds in the stack of these instances."""
    placed = [(a_spec(name, **sections), a_place()) for name in ids or ("bp_sol_01",)]
    return dict(yaml.safe_load(swarm_stack.render(placed, a_fleet(), IMAGE)))


def service(**sections: Any) -> dict[str, Any]:
    return dict(stack(**sections)["services"]["bp_sol_01"])


def test_a_service_runs_once_on_the_node_of_its_data_and_stops_before_it_starts() -> None:
    deploy = service()["deploy"]
    assert (deploy["mode"], deploy["replicas"]) == ("replicated", 1)
    assert deploy["placement"]["constraints"] == [
        "node.id == node1",
        "node.labels.botfleet-halted.desk.bp_sol_01 != yes",
    ]
    assert deploy["placement"]["max_replicas_per_node"] == 1
    assert deploy["update_config"]["order"] == deploy["rollback_config"]["order"] == "stop-first"
    assert deploy["restart_policy"]["condition"] == "any"
    assert deploy["resources"]["limits"] == {"cpus": "0.8", "memory": str(2048 << 20), "pids": 256}
    assert (deploy["labels"][labels.INSTANCE], deploy["labels"][swarm_stack.NODE]) == ("bp_sol_01", "node1")
    assert deploy["labels"][swarm_stack.MACHINE] == "tokyo"


def test_a_container_is_as_confined_as_swarm_can() -> None:
    definition = service()
    assert definition["image"] == IMAGE
    assert (definition["init"], definition["read_only"], definition["cap_drop"]) == (True, True, ["ALL"])
    assert definition["user"] == "10001:10002"
    assert definition["healthcheck"] == {"disable": True}
    assert definition["stop_grace_period"] == "50s"
    assert definition["environment"]["BOTFLEET_LOCK_WAIT"] == "1"


def test_nothing_is_published_and_each_service_has_an_encrypted_network_of_its_own() -> None:
    rendered = stack("one", "two")
    assert "ports" not in str(rendered)
    assert [rendered["services"][name]["networks"] for name in ("one", "two")] == [["one"], ["two"]]
    assert [rendered["services"][name]["deploy"]["endpoint_mode"] for name in ("one", "two")] == ["dnsrr"] * 2
    assert list(rendered["networks"]) == ["one", "two"]
    assert all(
        network == {"driver": "overlay", "driver_opts": {"encrypted": "true"}, "attachable": False}
        for network in rendered["networks"].values()
    )


def test_the_env_file_is_a_secret_for_the_bots_user_alone() -> None:
    rendered = stack()
    assert rendered["services"]["bp_sol_01"]["secrets"] == [
        {
            "source": "bp_sol_01",
            "target": "/botfleet/secrets/env.json",
            "uid": "10001",
            "gid": "10002",
            "mode": 0o400,
        }
    ]
    secret = rendered["secrets"]["bp_sol_01"]
    assert (secret["name"], secret["file"]) == ("botfleet-0123", "./volumes/x.json")


def test_the_folders_are_those_of_the_node_and_the_secrets_are_read_only() -> None:
    volumes = [
        (volume.get("source"), volume["target"], volume.get("read_only", False), volume["type"])
        for volume in service()["volumes"]
    ]
    at = "/srv/desk/volumes"
    assert volumes == [
        (f"{at}/logs/bp_sol_01", "/app/logs", False, "bind"),
        (f"{at}/database/bp_sol_01", "/data", False, "bind"),
        (f"{at}/state/bp_sol_01", "/botfleet/state", False, "bind"),
        (f"{at}/secrets/bp_sol_01", "/botfleet/secrets", True, "bind"),
        (None, "/tmp", False, "tmpfs"),
        (None, "/run/botfleet", False, "tmpfs"),
    ]


def test_a_dollar_stays_one_when_the_docker_command_has_read_it() -> None:
    place = a_place()._replace(data_dir="/srv/$desk", secret_file="./$x.json")
    rendered = yaml.safe_load(swarm_stack.render([(a_spec(), place)], a_fleet(), IMAGE))
    assert rendered["services"]["bp_sol_01"]["volumes"][0]["source"].startswith("/srv/$$desk/")
    assert rendered["secrets"]["bp_sol_01"]["file"] == "./$$x.json"


def test_the_order_of_the_instances_changes_nothing() -> None:
    one, two = (a_spec("one"), a_place()), (a_spec("two"), a_place())
    fleet = a_fleet()
    assert swarm_stack.render([one, two], fleet, IMAGE) == swarm_stack.render([two, one], fleet, IMAGE)


def test_an_empty_fleet_is_a_stack_too() -> None:
    assert yaml.safe_load(swarm_stack.render([], a_fleet(), IMAGE))["services"] == {}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("desk_bp_sol_01", True),
        ("desk_bp-SOL", True),
        ("desk_bp.sol", False),
        ("desk_bp_", False),
        ("desk_bp-", False),
        ("x" * 63, True),
        ("x" * 64, False),
    ],
)
def test_what_swarm_accepts_as_a_name(name: str, is_one: bool) -> None:
    assert swarm_stack.is_service_name(name) is is_one
