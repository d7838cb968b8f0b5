"""A snapshot of a machine's disk is brought back after a move: what it knew of the instance is old."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from manager.errors import BAD_CONFIG, FAILED
from tests import forks, sshd_here
from tests.faults import bots
from tests.faults.conftest import SETTINGS, Note, new_project
from tests.fleet import IMAGES, RUN_ID, Project, eventually
from tests.two_machines import another, database, runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID = "one"
KEYS = "BACKPACK_KEY=one\nBACKPACK_SECRET=two\n"


DOCKERFILE = """\
FROM {image}
COPY asks /app/asks
LABEL botfleet.open-orders=/app/asks
"""
ASKS = """\
#!/bin/sh
echo '{"open_orders": 0}'
"""


@pytest.fixture
def asked_image(fault_image: str, tmp_path: Path) -> str:
    """The fault bot's image, with a program that the exchange can be asked by, for a move."""
    tag = f"{IMAGES.removesuffix('*')}asked:{RUN_ID}"
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=fault_image))
    (folder / "asks").write_text(ASKS)
    (folder / "asks").chmod(0o755)
    subprocess.run(["docker", "build", "--quiet", "--tag", tag, str(folder)], check=True, capture_output=True)
    return tag


def put_back(project: Project, snapshot: Path) -> None:
    """The folder as it was, in the place that the containers mount."""
    shutil.rmtree(project.folder)
    copy(snapshot, project.folder)


def copy(folder: Path, to: Path) -> None:
    """With owners and modes."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True)


@contextmanager
def moving(tmp_path: Path, image: str) -> Iterator[tuple[Project, Project]]:
    """Yield two machines: on the first a live bot trades, which has rows, and can be moved to the second."""
    python = forks.python(tmp_path)
    with (
        new_project(tmp_path / "here", image) as here,
        another(tmp_path / "there", image, python=python) as there,
        sshd_here.running(tmp_path / "s") as link,
    ):
        (there.folder / "config" / "fleet.toml").write_text(f'name = "{there.name}"\n{SETTINGS}')
        (here.folder / ".env").write_text(KEYS)
        here.environ.update({**link.environ, forks.PYTHON: python})
        here.manager("host", "add", "there", link.url(there.folder))
        bots.add(here, ID, 0, mode="live")
        here.manager("up", "--wait")
        bots.tell(here, ID, "write")
        eventually(database(here, ID).exists, what="rows")
        yield here, there


# without SSH and an engine: tests/unit/ops/test_generations.py, and of backups test_flows_moved.py
@pytest.mark.long_form
def test_an_older_copy_is_named_while_it_runs_and_never_started_by_us(
    tmp_path: Path, asked_image: str, note: Note
) -> None:
    with moving(tmp_path, asked_image) as (here, there):
        here.manager("stop", ID, code=None)
        here.manager("backup", ID, "--to", str(tmp_path / "before"))
        copy(here.folder, tmp_path / "snapshot")
        here.manager("start", ID, "--wait")
        here.manager("move", ID, "there")
        assert runs(there)
        there.manager("stop", ID, code=None)  # both machines are one, and so is the port
        put_back(here, tmp_path / "snapshot")
        here.docker("start", here.container(ID))
        eventually(lambda: len(bots.pids(here, ID)) == 1, what="the bot of the older copy")

        shown = here.manager("ps", "--hosts", code=FAILED)
        assert f"{ID} trades on here in generation 0, and there knows of generation 1" in shown.err
        assert f"{ID} trades on here in generation 0" in here.manager("doctor", code=None).out
        assert "an older copy" in here.manager("restart", ID, code=BAD_CONFIG).out
        assert len(bots.pids(here, ID)) == 1, "a person ends it"
        here.manager("stop", ID, code=None)
        for command in ("start", "restart", "up"):
            refused = here.manager(command, ID, code=BAD_CONFIG)
            assert f"{ID}: left alone: host there has generation 1" in refused.out
        (old,) = (tmp_path / "before").glob("*.tar.gz")
        refused = there.manager("restore", str(old), ID, code=FAILED)
        assert "generation 0" in refused.err
        assert not bots.pids(here, ID)
    note(
        "a snapshot of a machine's disk is brought back after a move, and its container started by hand",
        "the folder copied before the move and put back, `docker start`",
        1,
        "named by `ps --hosts` and `doctor` with the command that ends it; not started again by any command;"
        " a backup of the older generation is refused",
    )


@pytest.mark.long_form
def test_a_machine_that_forgot_a_move_is_named_and_its_backup_is_no_older_copy(
    tmp_path: Path, asked_image: str, note: Note
) -> None:
    with moving(tmp_path, asked_image) as (here, there):
        (there.folder / ".env").write_text(KEYS)
        copy(there.folder, tmp_path / "snapshot")
        here.manager("move", ID, "there")
        there.manager("backup", ID, "--to", str(tmp_path / "after"))
        there.manager("stop", ID, code=None)
        there.docker("rm", "--force", there.container(ID))
        put_back(there, tmp_path / "snapshot")

        lost = f"{ID} was moved to there, which knows nothing of that"
        assert lost in here.manager("ps", "--hosts", code=FAILED).err
        assert lost in here.manager("doctor", code=FAILED).out
        (backup,) = (tmp_path / "after").glob("*.tar.gz")
        there.manager("restore", str(backup), ID)
        there.manager("start", ID, "--wait")
        assert here.manager("ps", "--hosts").err == ""
        here.manager("move", ID, "--from", "there")
        assert runs(here)
        assert not runs(there)
    note(
        "the disk of the machine that an instance was moved to is brought back from before the move",
        "its folder copied before the move and put back, its container removed; then a backup restored there",
        1,
        "named by `ps --hosts` and `doctor`; what was restored starts, is no older copy, and can be moved",
    )
