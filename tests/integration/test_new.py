"""From a template to a bot that runs, as a newcomer does it."""

from __future__ import annotations

import pytest

from tests.fleet import ROOT, Project

pytestmark = pytest.mark.engine


def test_a_new_config_runs_on_paper_on_a_port_of_its_own(project: Project) -> None:
    project.add("bp_sol_01", 0)
    line = (
        "new",
        "--template",
        str(ROOT / "config" / "templates" / "spot_grid.json"),
        "--id",
        "bp_eth_01",
        "--symbol",
        "ETH_USDC",
        "--lower",
        "2800",
        "--upper",
        "3600",
        "--quantity",
        "0.01",
        "--max-position",
        "0.1",
        "--port",
        str(project.first_port + 1),
        "--set",
        "health_check_interval=1",
        "--set",
        "interval=0.2",
    )
    assert project.manager(*line).out.startswith("config/active/bp_eth_01.json: written\n")
    assert project.manager("plan").out == "bp_eth_01: create: no container\nbp_sol_01: create: no container\n"
    project.manager("up", "bp_eth_01", "--wait")
    row = project.ps()["bp_eth_01"]
    assert (row["state"], row["mode"], row["web_port"]) == ("running", "paper", project.first_port + 1)
    project.docker("stop", project.container("bp_eth_01"))
    (project.folder / "config" / "active" / "bp_eth_01.json").unlink()
    assert "manager down bp_eth_01" in project.manager(*line, code=2).err
