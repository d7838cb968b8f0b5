"""A bot that was never meant for us runs unmodified: the image is a contract, not a program."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import ROOT, Project, built, eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def foreign_image() -> str:
    return built("foreign", "--bot", str(ROOT / "tests" / "foreign_bot"))


@pytest.fixture
def foreign(project: Project, foreign_image: str) -> Project:
    """A project whose fleet runs the foreign bot."""
    with (project.folder / "config" / "fleet.toml").open("a") as settings:
        settings.write('bot_dir = "my-bot"\nconfig_variables = ["BACKPACK_*"]\n')
    project.docker("tag", foreign_image, f"{project.name}-bot:local")
    return project


def add(project: Project, instance: str, port: int, **daemon: Any) -> None:
    project.add(
        instance,
        port,
        metadata={"exchange": "anything", "strategy": "martingale"},
        daemon_config=daemon,
        strategy_config={"duration": None},
    )


def get(project: Project, port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{project.first_port + port}{path}", timeout=5) as answer:
        return json.load(answer)


def test_it_runs_trades_and_stops_as_it_is(foreign: Project) -> None:
    (foreign.folder / ".env").write_text("BACKPACK_KEY=marker\n")
    add(foreign, "theirs", 0)
    foreign.manager("up", "--wait")
    seen = get(foreign, 0, "/argv")
    assert seen["argv"][:6] == [
        "--exchange",
        "anything",
        "--symbol",
        "SOL_USDC_PERP",
        "--strategy",
        "martingale",
    ]
    assert (seen["mode"], seen["keys"]) == ("paper", [])
    logs = foreign.folder / "volumes" / "logs" / "theirs"
    eventually(
        lambda: (logs / "own.log").read_text().count("trade") > 3,
        what="its own log, past its deaf first second",
    )
    eventually(
        lambda: "trade on SOL" in next(logs.glob("*/bot_stdout.log")).read_text(), what="its output, dated"
    )
    assert list((foreign.folder / "volumes" / "database" / "theirs").glob("theirs.db"))
    stopped = foreign.manager("stop", "theirs").out
    assert "stopped" in stopped
    assert "cancelling orders" in next(logs.glob("*/bot_stdout.log")).read_text()


@pytest.mark.long_form
def test_a_sigterm_that_it_ignores_ends_in_a_kill_that_is_said(foreign: Project) -> None:
    settings = foreign.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text().replace("GRIDBOT_*", "FOREIGN_*"))
    add(foreign, "theirs", 0, bot_stop_timeout=2)
    foreign.manager("up", "--wait", environ={"FOREIGN_DEAF_S": "3600"})
    done = foreign.manager("stop", "theirs", code=6)
    assert (
        "theirs did not stop in time and was killed; it did not report its orders: check the exchange"
        in done.err
    )
    assert foreign.supervisor("theirs")["last_exit"]["killed"] is True
    assert foreign.states() == {"theirs": "stopped"}


def test_an_early_exit_0_can_be_called_a_crash(foreign: Project) -> None:
    quick = {"max_restart_attempts": 0}
    for instance, port, extra in (
        ("plain", 0, {}),
        ("strict", 1, {"completion": "never"}),
        ("codes", 2, {"crash_exit_codes": [0]}),
    ):
        foreign.add(
            instance,
            port,
            metadata={"exchange": "anything", "strategy": "martingale"},
            daemon_config={**quick, **extra},
            strategy_config={"duration": 1},
        )
    foreign.manager("up")
    eventually(
        lambda: foreign.states() == {"plain": "completed", "strict": "failed", "codes": "failed"},
        what="the three ends",
    )
    assert foreign.manager("up").out.count("left alone") == 3


def test_an_image_without_our_supervisor_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL some=thing\n")
    project.docker("build", "-q", "-t", f"{project.name}-bot:local", str(tmp_path))
    project.add("bp_sol_01")
    done = project.manager("up", code=1)
    assert f"the image {project.name}-bot:local has no botfleet supervisor" in done.err
    assert project.ids() == {}
