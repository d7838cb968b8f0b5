"""A fleet that is up: what a newcomer looks at, and what changes nothing in it.

All tests of this file share one fleet, and leave it as it was.
"""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import a_project
from tests.integration.conftest import Project, eventually

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    """Two instances, up and healthy."""
    with a_project(tmp_path_factory.mktemp("at-rest") / "project", bot_image) as project:
        project.add("bp_sol_01", 0)
        project.add("bp_eth_01", 1, stem="backpack_eth")
        project.manager("up", "--wait")
        yield project


def test_up_gives_everything_a_newcomer_looks_at(fleet: Project) -> None:
    assert fleet.states() == {"bp_eth_01": "running", "bp_sol_01": "running"}
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.first_port}/health", timeout=10) as answer:
        assert answer.status == 200
        assert json.load(answer)["status"] == "healthy"
    today = fleet.folder / "volumes" / "logs" / "bp_sol_01" / time.strftime("%Y-%m-%d")
    size = (today / "bot_stdout.log").stat().st_size
    eventually(lambda: (today / "bot_stdout.log").stat().st_size > size, what="the dated log grows")
    assert (today / "daemon.log").read_text()
    assert "placed" in fleet.docker("logs", fleet.container("bp_sol_01"))
    with sqlite3.connect(f"file:{fleet.folder}/volumes/database/bp_sol_01.db?mode=ro", uri=True) as database:
        assert database.execute("select count(*) from orders").fetchone()[0] > 0


def test_a_second_up_does_nothing_and_says_so(fleet: Project) -> None:
    before = fleet.ids()
    assert fleet.manager("up").out == "nothing to do\n"
    assert fleet.manager("plan").out == "nothing to do\n"
    assert fleet.ids() == before


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("{", "is not JSON"),
        ('{"metadata": {"exchange": "backpack"}}', "metadata.symbol: is missing"),
        ({"daemon_config": {"web_port": "x"}}, "daemon_config.web_port: must be a whole number"),
        ({"metadata": {"instance_id": "bp_sol_01"}}, "metadata.instance_id: bp_sol_01 is also used by"),
        (
            {"exchange_config": {"api_key": "AKIA-CLEAR"}},
            "exchange_config.api_key: contains a credential in clear text",
        ),
    ],
)
def test_a_bad_config_starts_nothing_and_leaves_the_good_ones(
    fleet: Project, broken: object, fault: str
) -> None:
    before = fleet.ids()
    path = fleet.folder / "config" / "active" / "worse.json"
    if isinstance(broken, str):
        path.write_text(broken)
    else:
        assert isinstance(broken, dict)
        fleet.add("worse", 2, **broken)
    done = fleet.manager("up", code=4)
    assert "config/active/worse.json: " in done.err
    assert fault in done.err
    assert "AKIA-CLEAR" not in done.out + done.err
    assert fleet.ids() == before
    shown = fleet.manager("ps", code=4)
    assert "bp_eth_01" in shown.out
    assert fault in shown.err
    fleet.manager("restart", "bp_eth_01")
    path.unlink()
    assert fleet.ids() == before


def test_compose_sees_and_leaves_alone_what_the_manager_made(fleet: Project) -> None:
    before = fleet.ids()
    fleet.manager("compose")
    fleet.compose("up", "-d")
    assert fleet.ids() == before
    assert {line.split()[0] for line in fleet.compose("ps").splitlines()[1:]} == set(before)
    assert "placed" in fleet.compose("logs", "bp_sol_01")
    fleet.compose("restart", "bp_sol_01")
    eventually(lambda: fleet.states()["bp_sol_01"] == "running", what="running after compose restart")
    assert fleet.ids() == before


def test_another_project_of_the_same_name_is_refused(fleet: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", fleet.name, fleet.first_port + 5, fleet.environ)
    (other.folder / "config").mkdir(parents=True)
    (other.folder / "config" / "fleet.toml").write_text(f'name = "{fleet.name}"\n')
    other.add("bp_sol_01", 0)
    done = other.manager("up", code=4)
    assert str(fleet.folder) in done.err
    assert str(other.folder) in done.err
    assert len(fleet.ids()) == 2
