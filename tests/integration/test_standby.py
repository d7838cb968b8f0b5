"""Commands that only show print the same when the standby of `manager serve` runs them."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from manager.errors import LOCKED
from tests.fleet import a_project
from tests.integration.conftest import Project
from tests.standby import BY_ITSELF, BY_STANDBY, EITHER_WAY, Output, Standby

pytestmark = pytest.mark.engine

LINES = (
    "ps",
    "ps --json",
    "ps --format github",
    "ps --state failed",
    "ps --group --sort worst",
    "ps --sort unknown",
    "ps bp_sol_1",
    "list",
    "list --json bp_sol_01",
    "status bp_sol_01",
    "status --config config/active/nothing.json",
    "status",
    "logs --tail 3 bp_sol_01",
    "logs -n 2 --timestamps",
    "logs --json --tail=2 bp_eth_01",
    "logs --since never",
)
ENVIRONMENTS: Sequence[tuple[str, Mapping[str, str]]] = (
    ("ps", {"MANAGER_LANG": "zh-TW"}),
    ("list", {"TZ": "Asia/Taipei"}),
    ("ps", {"COLUMNS": "70"}),
    ("list", {"PYTHONIOENCODING": "ascii", "MANAGER_LANG": "zh-TW"}),
    ("status bp_sol_01", {"PYTHONUNBUFFERED": "1"}),
    ("ps", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}),
    ("logs --tail 3", {"DOCKER_HOST": "tcp://192.0.2.1:2375", "MANAGER_LANG": "zh-TW"}),
    ("logs --tail 3 bp_eth_01", {"BOTFLEET_ENGINE_CLIENT": "sdk"}),
)
TERMINALS: Sequence[tuple[str, int, Mapping[str, str]]] = (
    ("ps", 50, {}),
    ("ps", 200, {}),
    ("ps", 90, {"MANAGER_LANG": "zh-TW", "NO_COLOR": "1"}),
    ("list", 90, {}),
    ("logs --tail 3 bp_eth_01", 90, {}),
    ("logs --tail 3", 90, {"NO_COLOR": "1"}),
)
CHANGES: Sequence[tuple[str, int]] = (
    ("up", 0),
    ("up --json", 0),
    ("up --dry-run", 0),
    ("up bp_sol_1", 2),
    ("start bp_sol_01 --wait", 0),
    ("start --config config/active/nothing.json", 4),
    ("restart bp_sol_01 --wait", 0),
    ("restart bp_sol_01 --wait --json", 0),
)
"""Command lines that start bots, with their exit codes."""
CHANGING = re.compile(rb'-?[0-9.]+|"(?:running|sleeping|disk-sleep|idle)"')
"""In `status` and JSON: its time, P&L, and what a process does and uses. In a change: how long it took."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    with a_project(tmp_path_factory.mktemp("standby") / "project", bot_image) as project:
        project.add("bp_sol_01", 0)
        project.add("bp_eth_01", 1, stem="backpack_eth")
        project.manager("up", "--wait")
        project.manager("stop", "bp_eth_01")
        yield project


@pytest.fixture(scope="module")
def standby(fleet: Project) -> Iterator[Standby]:
    with Standby(Path(fleet.folder), fleet.environ) as started:
        yield started


def assert_same(run: Callable[[str], Output], line: str, by: str = BY_STANDBY) -> None:
    """The bots go on meanwhile: a difference counts only between two looks by itself that saw the same."""
    for _try in range(20):
        before, by_standby = (_settled(run(code), line) for code in (BY_ITSELF, by))
        if by_standby == before:
            return
        assert before != _settled(run(BY_ITSELF), line), by_standby
    pytest.fail(f"{line} never prints the same twice")


def _settled(output: Output, line: str) -> Output:
    changes = line.startswith("status") or line in ("ps --json", "list --json bp_sol_01")
    return output._replace(out=CHANGING.sub(b"0", output.out)) if changes else output


@pytest.mark.parametrize("line", LINES)
def test_a_pipe_gets_the_same_bytes(standby: Standby, line: str) -> None:
    assert_same(lambda code: standby.run(code, line.split()), line)


@pytest.mark.parametrize(("line", "environ"), ENVIRONMENTS, ids=str)
def test_each_environment_counts(standby: Standby, line: str, environ: Mapping[str, str]) -> None:
    assert_same(lambda code: standby.run(code, line.split(), environ), line)


@pytest.mark.parametrize("environ", [{"LC_ALL": "C"}, {"LANG": "zh_TW.UTF-8"}, {"PYTHONUTF8": "1"}], ids=str)
def test_where_the_interpreter_starts_in_another_way_too(
    standby: Standby, environ: Mapping[str, str]
) -> None:
    """Then the standby may refuse it, and it runs by itself."""
    assert_same(lambda code: standby.run(code, ["list"], environ), "list", EITHER_WAY)


@pytest.mark.parametrize(("line", "columns", "environ"), TERMINALS, ids=str)
def test_a_terminal_gets_the_same_bytes(
    standby: Standby, line: str, columns: int, environ: Mapping[str, str]
) -> None:
    assert_same(lambda code: standby.run_on_terminal(code, line.split(), columns, environ), line)


@pytest.mark.parametrize(("line", "code"), CHANGES)
def test_a_change_does_and_prints_the_same(fleet: Project, standby: Standby, line: str, code: int) -> None:
    runs = [standby.run(by, line.split()) for by in (BY_ITSELF, BY_STANDBY)]
    assert [run.code for run in runs] == [code, code]
    by_itself, by_standby = (
        run._replace(out=CHANGING.sub(b"0", run.out), err=CHANGING.sub(b"0", run.err)) for run in runs
    )
    assert by_standby == by_itself
    assert fleet.states() == {"bp_sol_01": "running", "bp_eth_01": "stopped"}


@pytest.mark.parametrize(
    ("client", "lines"),
    [
        ("", ("ps", "list", "status bp_sol_01", "logs --tail 3", "up", "restart bp_sol_01 --wait")),
        ("sdk", ("ps", "logs --tail 3")),
    ],
    ids=("socket", "sdk"),
)
def test_a_fork_loads_no_module(fleet: Project, tmp_path: Path, client: str, lines: Sequence[str]) -> None:
    """Python tells what it loads as it was told when the standby was started, wherever stderr then leads."""
    environ = {**fleet.environ, "XDG_CACHE_HOME": str(tmp_path), "BOTFLEET_ENGINE_CLIENT": client}
    quiet = {"PYTHONPROFILEIMPORTTIME": ""}
    with Standby(Path(fleet.folder), {**environ, "PYTHONPROFILEIMPORTTIME": "1"}) as standby:
        standby.run(BY_ITSELF, ["ps"], quiet)  # which keeps the configs
        for line in lines:
            output = standby.run(BY_STANDBY, line.split(), quiet)
            assert output.code == 0
            assert re.findall(rb"import time: .*", output.err) == [], line


def test_a_change_waits_for_the_lock_as_by_itself(fleet: Project, standby: Standby) -> None:
    with Path(fleet.folder, "volumes", "state", "fleet.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        runs = [standby.run(by, ["restart", "bp_sol_01"]) for by in (BY_ITSELF, BY_STANDBY)]
    assert runs[0] == runs[1]
    assert runs[0].code == LOCKED
    assert str(os.getpid()).encode() in runs[0].err


@pytest.mark.parametrize("code", [BY_ITSELF, BY_STANDBY])
def test_a_halt_counts_that_came_after_the_program_was_started(
    fleet: Project, standby: Standby, tmp_path: Path, code: str
) -> None:
    """The fork is younger than the program that the user has started."""
    halted = tmp_path / "halted"
    late = f"import os, time\nwhile not os.path.exists({str(halted)!r}):\n    time.sleep(0.05)\n{code}"
    process = standby.start(late, ["start", "bp_sol_01"])
    try:
        fleet.manager("halt")
        before = fleet.states()
        halted.touch()
        process.communicate(timeout=60)
        assert fleet.states() == before
    finally:
        process.kill()
        fleet.manager("resume", "--wait")
