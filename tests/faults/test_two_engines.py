"""Two machines with an engine each: every command that works over machines, and a move between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import sshd_here
from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import needs_root
from tests.faults.linked import two_engines
from tests.fleet import ROOT, Project, eventually

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long_form,
    needs_root,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID = "one"
OTHER = "two"


def test_every_command_over_two_machines_with_an_engine_each(
    tmp_path: Path, fault_image: str, note: Note
) -> None:
    with (
        two_engines(fault_image) as engines,
        new_project(tmp_path / "here", fault_image, environ=engines.first.environ) as here,
        new_project(tmp_path / "there", fault_image, environ=engines.second.environ) as there,
        sshd_here.running(tmp_path / "s", engines.place_of_second(tmp_path, wheels(tmp_path))) as sshd,
        bots.watched(here) as seen,
    ):
        here.environ.update(sshd.environ)
        deployed = here.manager("host", "deploy", "there", "--url", sshd.url(there.folder), timeout=900)
        assert "installed" in deployed.out
        assert "there was added" in deployed.out
        assert "there already" in here.manager("host", "deploy", "there", timeout=900).out
        assert sshd.url(there.folder) in here.manager("host", "list").out
        bots.add(here, ID, 0, "slow")
        bots.add(there, OTHER, 0, "slow")
        here.manager("up", "--wait")
        here.manager("--host", "there", "up", "--wait")
        assert states(here) == {("here", ID): "running", ("there", OTHER): "running"}
        assert {
            container.split()[0]
            for container in engines.second.docker("ps", "--format", "{{.Names}}").split()
        } == {there.container(OTHER)}
        stats = here.manager("stats", "--hosts").out
        assert ID in stats
        assert OTHER in stats
        follows(here)
        moves(here, there)
        away(here, engines.cut, engines.heal)
        halted = here.manager("halt", "--hosts").out
        assert OTHER in halted
        assert not engines.first.docker("ps", "-q")
        assert not engines.second.docker("ps", "-q")
        here.manager("host", "remove", "there")
        assert seen.most[ID] == 1
    note(
        "two machines, an engine each",
        "sshd in the second one's namespace: deploy, up, ps, stats, logs, halt, a move there and back, a cut",
        1,
        "each bot is on the engine that was said, never on both",
    )


def wheels(folder: Path) -> Path:
    """The packages that a manager needs."""
    target = folder / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target)]
    subprocess.run([*command, "-r", str(ROOT / "requirements.lock")], check=True)
    return target


def states(here: Project, code: int = 0) -> dict[tuple[str, str], str]:
    rows = here.manager("ps", "--hosts", "--json", code=code).json
    return {(row["host"], row["id"]): row["state"] for row in rows}


def follows(here: Project) -> None:
    """Lines of both machines come, each behind its machine's name."""
    words = [sys.executable, "-m", "manager", "logs", "-f", "--hosts"]
    log = here.folder / "followed"
    with log.open("wb") as stream:
        follower = subprocess.Popen(
            words, cwd=here.folder, env={**os.environ, **here.environ}, stdout=stream, stderr=stream
        )
    try:
        eventually(lambda: {"here", "there"} <= {line.split()[0] for line in log.read_text().splitlines()})
    finally:
        follower.terminate()
        follower.wait(60)


def moves(here: Project, there: Project) -> None:
    """There and back, with every row."""
    bots.tell(here, ID, "write")
    here.manager("move", ID, "there")
    assert states(here) | {("here", ID): ""} == {
        ("here", ID): "",
        ("there", ID): "running",
        ("there", OTHER): "running",
    }
    assert "moved to there" in here.manager("ps", "--hosts").out
    assert there.states()[ID] == "running"
    here.manager("move", ID, "--from", "there")
    assert states(here)["here", ID] == "running"
    assert there.states()[ID] in {"stopped", "missing"}


def away(here: Project, cut: Callable[[], None], heal: Callable[[], None]) -> None:
    """A machine that is cut off degrades its own rows only."""
    cut()
    try:
        by_host = states(here, code=1)
        assert by_host["here", ID] == "running"
        assert by_host["there", OTHER] == "unreachable"
    finally:
        heal()
    eventually(lambda: states(here)["there", OTHER] == "running")
