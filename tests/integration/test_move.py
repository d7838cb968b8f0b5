"""An instance is moved to another machine and back; what went away starts nowhere but there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from manager.errors import FAILED
from tests import forks, sshd_here
from tests.fleet import Project, eventually
from tests.two_machines import another, rows, runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID = "bp_eth_01"


@pytest.fixture
def tokyo(tmp_path: Path, bot_image: str, python: str) -> Iterator[Project]:
    with another(tmp_path / "另一台 tokyo" / "project", bot_image, python=python) as made:
        yield made


@pytest.fixture
def python(tmp_path: Path) -> str:
    """What starts the managers of both machines: a move has some thirty."""
    return forks.python(tmp_path)


def test_there_and_back_with_every_row_and_never_startable_on_both(
    project: Project, tokyo: Project, tmp_path: Path, python: str
) -> None:
    project.add(ID, 0)
    project.manager("up", "--wait")
    eventually(lambda: rows(project, ID) > 0, what="rows")
    with sshd_here.running(tmp_path / "s") as sshd:
        project.environ.update({**sshd.environ, forks.PYTHON: python})
        project.manager("host", "add", "tokyo", sshd.url(tokyo.folder))
        project.manager("backup", ID, "--to", str(tmp_path / "before"))
        project.manager("stop", ID)  # it was stopped before, which is no order that is given during the move
        project.manager("start", ID, "--wait")

        project.manager("move", ID, "tokyo")
        assert not runs(project)
        assert runs(tokyo)
        assert rows(tokyo, ID) >= rows(project, ID) > 0
        assert project.ps()[ID]["state"] == "stopped"
        assert "moved to tokyo" in project.manager("ps", code=None).out
        refused = project.manager("start", ID, code=FAILED)
        assert "moved to tokyo (generation 1)" in refused.out + refused.err
        tokyo.manager("stop", ID)  # both machines are one, and so is the port
        project.docker("start", project.container(ID))
        eventually(
            lambda: (project.supervisor(ID)["reason"] or {"params": {}})["params"].get("by") == "moved",
            what="an idle supervisor",
        )
        assert project.supervisor(ID)["bot_pid"] is None
        project.manager("stop", ID)
        tokyo.manager("start", ID)
        again = project.manager("move", ID, "tokyo", code=FAILED)
        assert "moved to tokyo" in again.err

        project.manager("move", ID, "--from", "tokyo")
        assert runs(project)
        assert not runs(tokyo)
        assert rows(project, ID) >= rows(tokyo, ID)
        (old,) = (tmp_path / "before").glob("*.tar.gz")
        project.manager("stop", ID)
        refused = project.manager("restore", str(old), ID, code=FAILED)
        assert "generation 0" in refused.err
    assert not list((project.folder / "volumes" / "state" / "moves").glob("*/*"))
