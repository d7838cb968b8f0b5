"""Small builders of configs, specs, rows and situations, so that a test names only what it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from manager.config.fleet import Fleet
from manager.config.models import InstanceConfig
from manager.config.spec import InstanceSpec, build
from manager.engine import labels
from manager.engine.containers import Container, observe
from manager.fleet.bot_report import Report
from manager.fleet.instance import Instance
from manager.fleet.snapshot import Desired, PlanInput
from manager.fleet.state_file import FleetState, InstanceState, Wish
from manager.fleet.status import State, Status
from manager.i18n import Text
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.stats.usage import Sample, Usage

FLEET_NAME = "desk"
UPTIME = 10_000.0


def a_fleet(**changes: Any) -> Fleet:
    """A fleet in a folder that does not exist: for pure code only."""
    project = Path("/srv/desk")
    return Fleet(**{"name": FLEET_NAME, "project_dir": project, "data_dir": project / "volumes", **changes})


def a_config(instance_id: str = "bp_sol_01", port: int | None = 5001, **sections: Any) -> dict[str, Any]:
    """The JSON of a complete config; `sections` are merged into it, one level deep."""
    config: dict[str, Any] = {
        "metadata": {
            "instance_id": instance_id,
            "name": "a grid",
            "exchange": "backpack",
            "symbol": "SOL_USDC_PERP",
            "market_type": "perp",
            "strategy": "perp_grid",
        },
        "daemon_config": {"web_port": port},
        "exchange_config": {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}"},
        "strategy_config": {
            "grid_upper_price": 180,
            "grid_lower_price": 140,
            "grid_num": 20,
            "order_quantity": 0.5,
            "max_position": 5,
        },
    }
    for name, section in sections.items():
        config[name] = {**config.get(name, {}), **section} if isinstance(section, dict) else section
    return config


def a_spec(
    instance_id: str = "bp_sol_01", port: int | None = 5001, fleet: Fleet | None = None, **sections: Any
) -> InstanceSpec:
    """The spec of `a_config`."""
    config = InstanceConfig.model_validate(a_config(instance_id, port, **sections))
    return build(config, instance_id, f"config/active/{instance_id}.json", fleet or a_fleet())


def a_row(instance: str = "bp_sol_01", state: str = "running", **changes: Any) -> dict[str, Any]:
    """One row of the engine's list, as API 1.45 gives it; `labels` are merged."""
    status = {
        "running": "Up 3 minutes (healthy)",
        "exited": "Exited (137) 2 minutes ago",
        "created": "Created",
    }
    own = {
        labels.INSTANCE: instance,
        labels.CONFIG_FILE: f"config/active/{instance}.json",
        labels.CONFIG_HASH: "h1",
        labels.WEB_PORT: "5001",
        labels.MODE: "paper",
        labels.STOP_TIMEOUT: "50",
        labels.COMPOSE_PROJECT: FLEET_NAME,
        labels.COMPOSE_ONEOFF: "False",
        labels.COMPOSE_WORKING_DIR: "/srv/desk",
        **changes.pop("labels", {}),
    }
    return {
        "Id": f"id-of-{instance}",
        "Names": [f"/{FLEET_NAME}-{instance}"],
        "ImageID": "sha256:one",
        "Created": 1_764_500_000,
        "Labels": own,
        "State": state,
        "Status": status.get(state, ""),
        "Mounts": [
            {"Type": "bind", "Source": f"/srv/desk/volumes/database/{instance}", "Destination": "/data"}
        ],
        **changes,
    }


def a_container(instance: str = "bp_sol_01", state: str = "running", **changes: Any) -> Container:
    """The container of `a_row`."""
    return observe([a_row(instance, state, **changes)], FLEET_NAME).containers[instance]


def a_supervisor_file(state: str = "running", **changes: Any) -> dict[str, Any]:
    """The content of a supervisor.json, fresh at UPTIME."""
    return {
        "schema": 1,
        "instance": "bp_sol_01",
        "container": "id-of-bp_sol_01",
        "state": state,
        "why": None,
        "bot_pid": 8,
        "bot_started_at": 1_764_500_001.0,
        "supervisor_started_at": 1_764_500_000.0,
        "updated_at": 1_764_500_060.0,
        "updated_uptime": UPTIME - 10,
        "health_interval": 30,
        "health": {"ok": True, "checked_at": 1_764_500_060.0, "failures": 0, "detail": "200"},
        "restarts": {"in_a_row": 0, "total": 0, "max": 3, "next_at": None},
        "last_exit": None,
        "logs_dropped": {"stdout": 0, "stderr": 0},
        **changes,
    }


def a_situation(
    instances: Mapping[str, Mapping[str, Any]],
    *,
    orphans: Mapping[str, str] | None = None,
    held_back: frozenset[str] = frozenset(),
) -> PlanInput:
    """A situation from one line an instance.

    Keys: `engine` (the container's state, none for no container), `state` (the verdict), `hash` (its label;
    the config's is `h1`), `image`, `environment` (changed), `status` (the engine's text), `wish`, `halted`,
    `port`, `old_port`.
    """
    wanted, containers, statuses, remembered = {}, {}, {}, {}
    for name, facts in instances.items():
        wanted[name] = Desired(
            name, "h1", web_port=facts.get("port", 5001), environment_changed=facts.get("environment", False)
        )
        engine = facts.get("engine")
        if engine is not None:
            containers[name] = a_container(
                name,
                engine,
                ImageID=facts.get("image", "sha256:one"),
                **({"Status": facts["status"]} if "status" in facts else {}),
                labels={
                    labels.CONFIG_HASH: facts.get("hash", "h1"),
                    labels.WEB_PORT: str(facts.get("old_port", facts.get("port", 5001))),
                },
            )
        state: State = facts.get(
            "state", "running" if engine == "running" else "stopped" if engine else "missing"
        )
        statuses[name] = Status(state, why=Text("exit code 1") if state == "failed" else None)
        wish: Wish = facts.get("wish", "run")
        remembered[name] = InstanceState(wish=wish, halted=facts.get("halted"))
    for name, engine in (orphans or {}).items():
        containers[name] = a_container(name, engine)
        statuses[name] = Status("orphan")
    return PlanInput(
        wanted, containers, statuses, FleetState(FLEET_NAME, remembered), "sha256:one", held_back
    )


def some_figures(
    instance: str = "bp_sol_01",
    state: State = "running",
    *,
    mode: str = "paper",
    cpu: float | None = None,
    memory: int = 0,
    **report: Any,
) -> InstanceStats:
    """One row of `stats` and `top`.

    `cpu`: None for an instance of which nothing can be measured; `report`: its bot's words.
    """
    container = a_container(instance, labels={labels.MODE: mode, labels.SYMBOL: "SOL_USDC_PERP"})
    view = Instance(instance, Status(state), (), None, container, None, InstanceState())
    used = (
        None if cpu is None else Usage(cpu, Sample(at=1.0, cpu_s=1.0, memory=memory, memory_limit=256 << 20))
    )
    figures: dict[str, Any] = {
        key: Decimal(value) if key in {"pnl", "position"} else value for key, value in report.items()
    }
    return InstanceStats(view, used, Report(**figures))


def write_config(project_dir: Path, config: Mapping[str, Any] | str | bytes, stem: str = "bp_sol_01") -> Path:
    """Writes a config file (JSON, or raw text or bytes) into a project folder and returns its path."""
    path = project_dir / "config" / "active" / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(config, bytes):
        path.write_bytes(config)
    else:
        path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return path
