"""Config → argv, container definition, hash: the whole artifact, golden."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from manager.config.spec import config_hash
from manager.engine import compose_file, container_config, labels
from manager.engine.container_config import HostContext
from tests.builders import a_fleet, a_spec

PLACE = HostContext(uid=10001, gid=10001, owner=(10001, 10001), image_id="sha256:one", compose_hash="c" * 64)


def test_grid_argv_takes_the_first_key_and_skips_what_is_not_there() -> None:
    spec = a_spec(
        strategy_config={
            "grid_upper_price": None,
            "grid_upper": 200.5,
            "grid_lower": 100,
            "grid_mode": "geometric",
            "grid_type": "long",
            "quantity": 9,
            "order_quantity": 0.00001,
            "stop_loss": -50,
            "take_profit": None,
            "boundary_action": "adjust_range",
            "boundary_tolerance": 0.02,
            "enable_boundary_check": False,
            "duration": 3600,
            "interval": 0.5,
        }
    )
    assert " ".join(spec.command) == (
        "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --market-type perp"
        " --grid-upper 200.5 --grid-lower 140 --grid-num 20 --grid-mode geometric --grid-type long"
        " --max-position 5"
        " --quantity 0.00001 --stop-loss -50 --boundary-action adjust_range --boundary-tolerance 0.02"
        " --disable-boundary-check --duration 3600 --interval 0.5"
    )


@pytest.mark.parametrize(("declared", "is_passed"), [(True, True), (False, False), (None, False)])
def test_only_a_declared_exclusive_account_is_passed(declared: bool | None, is_passed: bool) -> None:
    """Containers of configs that do not declare it keep their arguments."""
    spec = a_spec(strategy_config={"exclusive_account": declared})
    assert ("--exclusive-account" in spec.command) is is_passed


def test_standard_argv() -> None:
    spec = a_spec(
        metadata={"strategy": "standard", "market_type": None},
        strategy_config={
            "spread": 0.002,
            "quantity": 0.5,
            "max_orders": 3,
            "target_position": 0,
            "position_threshold": 1,
            "inventory_skew": 0.1,
            "interval": 10,
        },
    )
    assert " ".join(spec.command) == (
        "--exchange backpack --symbol SOL_USDC_PERP --strategy standard --spread 0.002 --quantity 0.5"
        " --max-orders 3"
        " --target-position 0 --max-position 5 --position-threshold 1 --inventory-skew 0.1 --interval 10"
    )


def test_the_definition_of_a_container() -> None:
    fleet = a_fleet()
    body = container_config.body(a_spec(), fleet, PLACE)
    own = body.pop("Labels")
    assert body.pop("Cmd")[:2] == ["--exchange", "backpack"]
    assert "WEB_PORT=5001" in body["Env"]
    assert "DB_PATH=/data/bp_sol_01.db" in body["Env"]
    assert not [entry for entry in body.pop("Env") if "BACKPACK" in entry]
    assert body == {
        "Image": "desk-bot:local",
        "Hostname": "bp_sol_01",
        "User": "10001:10001",
        "ExposedPorts": {"5001/tcp": {}},
        "StopTimeout": 50,
        "Healthcheck": {
            "Test": ["CMD", "/opt/botfleet/healthcheck"],
            "Interval": 60_000_000_000,
            "Timeout": 10_000_000_000,
            "StartPeriod": 60_000_000_000,
            "Retries": 1,
            "StartInterval": 15_000_000_000,
        },
        "HostConfig": {
            "NetworkMode": "desk_default",
            "PortBindings": {"5001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5001"}]},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": f"/srv/desk/volumes/{source}",
                    "Target": target,
                    "ReadOnly": read_only,
                }
                for source, target, read_only in (
                    ("logs/bp_sol_01", "/app/logs", False),
                    ("database/bp_sol_01", "/data", False),
                    ("state/bp_sol_01", "/botfleet/state", False),
                    ("secrets/bp_sol_01", "/botfleet/secrets", True),
                )
            ],
            "Tmpfs": {"/tmp": "size=64m,mode=1777", "/run/botfleet": "size=1m,mode=1777"},
            "RestartPolicy": {"Name": "unless-stopped"},
            "Init": True,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 256,
            "Memory": 2048 << 20,
            "MemorySwap": 2048 << 20,
            "NanoCpus": 800_000_000,
            "LogConfig": {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}},
        },
        "NetworkingConfig": {"EndpointsConfig": {"desk_default": {"Aliases": ["bp_sol_01"]}}},
    }
    assert own[labels.INSTANCE] == own[labels.COMPOSE_SERVICE] == "bp_sol_01"
    assert own[labels.COMPOSE_CONFIG_HASH] == "c" * 64
    assert own[labels.CONFIG_HASH] == config_hash(a_spec(), fleet)
    assert own[labels.COMPOSE_ONEOFF] == "False"


def test_an_old_engine_gets_no_start_interval_and_zero_switches_the_check_off() -> None:
    old = HostContext(1, 1, (1, 1), "sha256:one", "c", api_version=(1, 41))
    assert "StartInterval" not in container_config.body(a_spec(), a_fleet(), old)["Healthcheck"]
    assert container_config.body(a_spec(), a_fleet(engine_health_interval=0), PLACE)["Healthcheck"] == {
        "Test": ["NONE"]
    }


def test_the_default_limit_of_log_files_is_in_no_container() -> None:
    """Containers of an earlier version do not have it, and are not to be recreated for it."""
    assert "BOTFLEET_LOG_DAY_LIMIT" not in a_spec().environment()
    changed = a_fleet(log_day_mb=0)
    assert a_spec(fleet=changed).environment()["BOTFLEET_LOG_DAY_LIMIT"] == "0"
    assert config_hash(a_spec(fleet=changed), changed) != config_hash(a_spec(), a_fleet())


CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({"metadata": {"description": "other", "tags": ["x"], "name": "y"}}, False),
    ({"exchange_config": {"base_url": "https://example.test"}}, False),
    ({"metadata": {"symbol": "ETH_USDC"}}, True),
    ({"strategy_config": {"grid_num": 21}}, True),
    ({"daemon_config": {"web_port": 5002}}, True),
    ({"daemon_config": {"memory_limit_mb": 100}}, True),
    ({"daemon_config": {"cpu_limit_percent": 50}}, True),
    ({"daemon_config": {"restart_delay": 1}}, True),
    ({"daemon_config": {"log_dir": "logs/elsewhere"}}, True),
    ({"daemon_config": {"db_path": "database/other.db"}}, True),
    ({"exchange_config": {"passphrase": "${NEW_VARIABLE}"}}, True),
    ({"mode": "live"}, True),
]


@pytest.mark.parametrize(("change", "is_new_container"), CHANGES)
def test_the_hash_covers_what_needs_a_new_container(change: dict[str, Any], is_new_container: bool) -> None:
    before, after = (config_hash(a_spec(**sections), a_fleet()) for sections in ({}, change))
    assert (before != after) is is_new_container


def test_the_hash_knows_no_machine() -> None:
    here = a_fleet()
    there = a_fleet(
        project_dir=here.project_dir / "x", data_dir=here.data_dir / "y", parallelism=1, variables=("A",)
    )
    assert config_hash(a_spec(), here) == config_hash(a_spec(), there)
    assert config_hash(a_spec(), here) != config_hash(a_spec(), a_fleet(bind_address="0.0.0.0"))


def test_compose_says_the_same_as_the_api() -> None:
    fleet, spec = a_fleet(), a_spec()
    rendered = yaml.safe_load(compose_file.render([spec], fleet))
    service = rendered["services"]["bp_sol_01"]
    body = container_config.body(spec, fleet, PLACE)
    host = body["HostConfig"]
    assert service["command"] == body["Cmd"]
    assert [f"{name}={value}" for name, value in service["environment"].items()] == body["Env"]
    assert service["labels"] == {
        key: value for key, value in body["Labels"].items() if key.startswith("botfleet.")
    }
    assert service["stop_grace_period"] == f"{body['StopTimeout']}s"
    assert service["mem_limit"] == service["memswap_limit"] == f"{host['Memory'] >> 20}m"
    assert service["cpus"] * 1e9 == host["NanoCpus"]
    assert service["tmpfs"] == [f"{path}:{options}" for path, options in host["Tmpfs"].items()]
    assert [
        (volume["source"], volume["target"], volume.get("read_only", False)) for volume in service["volumes"]
    ] == [
        (mount["Source"].replace("/srv/desk", "."), mount["Target"], mount["ReadOnly"])
        for mount in host["Mounts"]
    ]
    assert (service["hostname"], service["container_name"]) == (body["Hostname"], "desk-bp_sol_01")
    assert (service["read_only"], service["init"], service["cap_drop"], service["security_opt"]) == (
        host["ReadonlyRootfs"],
        host["Init"],
        host["CapDrop"],
        host["SecurityOpt"],
    )
    assert service["restart"] == host["RestartPolicy"]["Name"]
    assert service["pids_limit"] == host["PidsLimit"]
    assert service["logging"] == {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]}


def test_the_compose_file_has_no_trace_of_the_machine_and_survives_odd_ids() -> None:
    specs = [
        a_spec(instance_id, port)
        for instance_id, port in (("007", 5001), ("no", 5002), ("1e5", 5003), ("a.b-c", 5004))
    ]
    text = compose_file.render(specs, a_fleet())
    assert "/srv/desk" not in text
    assert set(yaml.safe_load(text)["services"]) == {"007", "no", "1e5", "a.b-c"}
    assert yaml.safe_load(compose_file.render([], a_fleet()))["services"] == {}


def test_a_dollar_is_no_variable_to_compose() -> None:
    spec = a_spec(metadata={"symbol": "$SOL"})
    assert (
        "$$SOL" in yaml.safe_load(compose_file.render([spec], a_fleet()))["services"]["bp_sol_01"]["command"]
    )
