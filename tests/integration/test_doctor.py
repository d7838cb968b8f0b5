"""What doctor says of a real engine and a real fleet, and of neither."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.integration.conftest import Project

pytestmark = pytest.mark.engine

KEY = "mark3r-key-of-doctor"


def findings_of(
    project: Project, *args: str, code: int | None = None, **environ: str
) -> dict[str, list[dict[str, str]]]:
    """check → its lines."""
    lines: dict[str, list[dict[str, str]]] = {}
    for line in project.manager("doctor", "--json", *args, code=code, environ=environ).json:
        lines.setdefault(line["check"], []).append(line)
    return lines


def test_a_fleet_that_is_well_and_then_is_not(project: Project, tmp_path: Path) -> None:
    (project.folder / ".env").write_text(f"BACKPACK_KEY={KEY}\nGRIDBOT_NOTE={KEY}\n")
    project.add("bp_sol_01", 0, exchange_config={"passphrase": "${BACKPACK_PASSPHRASE}"})
    project.manager("up", "--wait")
    well = findings_of(project)
    assert {"engine", "context", "configs", "ports", "secrets", "image", "instances"} <= well.keys()
    assert {
        line["level"]
        for check in ("engine", "configs", "ports", "secrets", "image", "instances")
        for line in well[check]
    } == {"ok"}
    assert [line["level"] for line in well["dotenv"]] == ["warn"]

    taken = socket.socket()
    taken.bind(("127.0.0.1", project.first_port + 1))
    taken.listen()
    project.add("bp_eth_01", 1)
    project.change("bp_sol_01", daemon_config={"memory_limit_mb": 300})
    folder = project.folder / "volumes" / "database"
    (folder / "bp_old_01").mkdir()
    (folder / "bp_old_01" / "bp_old_01.db").write_bytes(bytes(3_000_000))
    (project.folder / "volumes" / "secrets" / "bp_sol_01" / "env.json").chmod(0o444)
    report = tmp_path / "report.txt"
    marks = {"PHRASE": "mark3r-phrase", "USER": "mark3r-user", "HOME": str(tmp_path)}
    ill = findings_of(project, "--report", str(report), code=1, **marks)
    taken.close()
    assert [line["text"] for line in ill["ports"]] == [
        f"bp_eth_01: port {project.first_port + 1} is in use by another program"
    ]
    assert [line["text"] for line in ill["drift"]] == ["bp_sol_01: differ from their configs"]
    assert [line["text"] for line in ill["stale"]] == [
        "volumes/database/bp_old_01: belongs to an instance without a config, 3 MB"
    ]
    assert [line["level"] for line in ill["secrets"]] == ["fail"]
    text = report.read_text()
    assert "bp_sol_01: running" in text
    assert "mark3r" not in text
    assert str(tmp_path) not in text
    assert report.stat().st_mode & 0o777 == 0o600
    project.manager("down")


def test_without_an_engine_and_without_sound_configs(project: Project) -> None:
    (project.folder / "config" / "active" / "broken.json").write_text("{")
    project.add("bp_sol_01", 0)
    lines = findings_of(project, code=5, DOCKER_HOST=f"unix://{project.folder}/none.sock")
    assert lines["engine"][0]["level"] == "fail"
    assert [line["level"] for line in lines["configs"]] == ["fail"]
    assert "broken.json" in lines["configs"][0]["text"]
    assert "data-disk" in lines
    (project.folder / "config" / "fleet.toml").write_text("name = 7")
    assert "config/fleet.toml: name" in findings_of(project, code=1)["configs"][0]["text"]
