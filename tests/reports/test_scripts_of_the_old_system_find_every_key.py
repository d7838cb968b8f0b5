"""Scripts read the old system's `status`, instances.json and lists key by key: each is there, of its type.

The shapes are those of the old system's own document. `status()["config"]["python_path"]` was missing.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

import pytest

from manager.compat.registry import InstanceRegistry
from manager.fleet import instances_json
from manager.fleet.instances_json import Pids
from manager.fleet.observe import FleetSnapshot
from tests.fakes.sandbox import Sandbox

STATUS: dict[str, Any] = {
    "running": True,
    "timestamp": "2025-11-30T19:30:00.000000",
    "pid": 12345,
    "process_info": {
        "name": "python3",
        "cmdline": ["python3", "…"],
        "create_time": "2025-11-30T19:00:00.000000",
        "cpu_percent": 2.5,
        "memory_info": {"rss": 152371200, "vms": 512345600, "rss_mb": 145.3},
        "status": "running",
        "num_threads": 8,
    },
    "config": {"python_path": ".venv/bin/python3", "log_dir": "logs/bp_sol_01", "web_port": 5001},
}
RECORD: dict[str, Any] = {
    "config_file": "config/active/bp_sol_01.json",
    "pid": 12345,
    "log_dir": "logs/bp_sol_01",
    "web_port": 5001,
    "started_at": "2025-11-30T19:00:00",
    "status": "running",
    "registered_at": "2025-11-30T19:00:00",
    "last_updated": "2025-11-30T19:30:00",
}


@pytest.fixture
def fleet(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A fleet that runs; this process stands for the bots, and the one above it for what keeps them."""

    def pids(snapshot: FleetSnapshot) -> Pids:
        return Pids(dict.fromkeys(snapshot.views, os.getpid()), dict.fromkeys(snapshot.views, os.getppid()))

    monkeypatch.setattr(instances_json, "find_pids", pids)
    sandbox.transcript("up")
    return sandbox


def differences(theirs: object, ours: object, path: str = "") -> list[str]:
    """Return what the old shape has and ours has not, or has of another type."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{path}: no object"]
        missing = [f"{path}.{key}: missing" for key in theirs if key not in ours]
        return missing + [
            difference
            for key, value in theirs.items()
            if key in ours
            for difference in differences(value, ours[key], f"{path}.{key}")
        ]
    if type(theirs) is not type(ours):
        return [f"{path}: {type(ours).__name__}, not {type(theirs).__name__}"]
    if isinstance(theirs, list):
        return [difference for own in ours for difference in differences(theirs[0], own, path)]  # type: ignore[attr-defined]
    if isinstance(theirs, str) and theirs.startswith("2025-"):
        assert isinstance(ours, str)
        datetime.fromisoformat(ours)
        return [] if len(ours) == len(theirs) else [f"{path}: {ours}, not as long as {theirs}"]
    return []


def test_status_has_every_key(fleet: Sandbox) -> None:
    status = json.loads("\n".join(fleet.run("status bp_sol_01")))
    assert differences(STATUS, status) == []
    assert status["config"]["python_path"] == ".venv/bin/python3"
    path = fleet.folder / "config" / "active" / "bp_sol_01.json"
    config = json.loads(path.read_text())
    config["daemon_config"]["python_path"] = "/usr/bin/python3"
    path.write_text(json.dumps(config))
    status = json.loads("\n".join(fleet.run("status bp_sol_01")))
    assert status["config"]["python_path"] == "/usr/bin/python3"


def test_a_status_of_what_does_not_run_has_the_same_keys(
    fleet: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.transcript("stop bp_sol_01")
    monkeypatch.setattr(instances_json, "find_pids", lambda _snapshot: Pids({}))
    status = json.loads("\n".join(fleet.run("status bp_sol_01")))
    assert set(STATUS) <= set(status)
    assert (status["running"], status["pid"], status["process_info"], fleet.exit_code) == (
        False,
        None,
        None,
        1,
    )


def test_the_file_and_the_registry_have_every_key(fleet: Sandbox) -> None:
    file = fleet.folder / "volumes" / "logs" / "instances.json"
    written, listed = json.loads(file.read_text()), InstanceRegistry(file).list_instances()
    assert len(written) == len(listed) > 0
    for record in written.values():
        assert differences(RECORD, record) == []
    for record in listed:
        assert differences({**RECORD, "instance_id": "bp_sol_01", "is_alive": True}, record) == []
