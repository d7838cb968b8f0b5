"""The engine stopped, killed, frozen: a clear message or a reconnection, no hang, and nothing that `up`
does not mend.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.faults.engines import OwnEngine, needs_root
from tests.fleet import Project, eventually

pytestmark = [pytest.mark.engine, needs_root]

INSTANCES = ("one", "two", "idle")
FROZEN_BOUND_S = 30.0
"""Its process is seen to stand still after eight seconds; the rest is for managers to start."""


@pytest.fixture(scope="module")
def fleet_of_all(
    tmp_path_factory: pytest.TempPathFactory, own_engine: OwnEngine, fault_image: str
) -> Iterator[Project]:
    """Two instances up and healthy on that engine, a third one that a person has stopped."""
    own_engine.start()
    folder = tmp_path_factory.mktemp("gone") / "project"
    with new_project(folder, fault_image, environ=own_engine.environ) as project:
        for port, name in enumerate(INSTANCES):
            bots.add(project, name, port)
        project.manager("up", "--wait")
        project.manager("stop", "idle")
        yield project


@pytest.fixture
def fleet(fleet_of_all: Project, engine: OwnEngine) -> Project:
    """The fleet as it should be, however the last test has ended."""
    fleet_of_all.manager("up", "--wait", "one", "two")
    return fleet_of_all


def started(project: Project, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*args),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project.folder,
        env={**os.environ, **project.environ},
    )


def as_it_should_be(project: Project) -> None:
    """Exactly what should run does."""
    eventually(
        lambda: project.states() == {"one": "running", "two": "running", "idle": "stopped"},
        60,
        "all as wished",
    )
    assert "idle: left alone: stopped by a user" in project.manager("up").out


def mended(project: Project, engine: OwnEngine) -> int:
    """How many times `up` was called.

    A person does what its errors say: an engine that was killed may keep a port for ever.
    """
    for attempt in range(1, 6):
        done = project.manager("up", code=None)
        if done.code == 0:
            return attempt
        if "restart the Docker Engine to remove it" in done.err:
            engine.stop()
            engine.start()
        else:
            assert "already exists" in done.err, done.err
    raise AssertionError(done.err)


def test_a_frozen_engine_hangs_no_command(
    fleet: Project, engine: OwnEngine, note: Note, is_long: bool
) -> None:
    readers = (["ps"], ["list"], ["status", "one"], ["logs", "one"])
    changers = (["up"], ["down"], *((["stop"], ["restart"], ["export"]) if is_long else ()))
    follower = started(fleet, "logs", "-f", "one")
    eventually(lambda: follower.stdout and follower.stdout.readline(), what="a first line")
    with engine.frozen():
        managers = [fleet.piped(*command) for command in readers]
        for manager in managers:
            _is_said_to_stand_still(manager, engine)
        for command in changers:
            managers.append(fleet.piped(*command))
            _is_said_to_stand_still(managers[-1], engine)
        managers.append(fleet.piped("halt"))
        message = _is_said_to_stand_still(managers[-1], engine)
        assert "without the engine, their supervisors have stopped these bots: one, two" in message
        assert bots.pids(fleet, "one") == bots.pids(fleet, "two") == []
    assert follower.poll() is None
    follower.kill()
    fleet.manager("resume", "--wait")
    as_it_should_be(fleet)
    note(
        "dockerd stands still",
        f"SIGSTOP, then {', '.join(command[0] for command in (*readers, *changers))}, halt",
        len(managers),
        f"each ends with 5 within {FROZEN_BOUND_S:.0f} s, and names the process that stands still; nothing"
        " has changed afterwards",
    )


def _is_said_to_stand_still(manager: subprocess.Popen[str], engine: OwnEngine) -> str:
    output = "".join(manager.communicate(timeout=FROZEN_BOUND_S))
    assert manager.returncode == 5, output
    assert "no Docker Engine answers (" in output
    assert f"its process {engine.pid()} was stopped, as by SIGSTOP" in output
    return output


def test_an_engine_frozen_in_the_middle_of_a_restart_loses_nothing(
    fleet: Project, engine: OwnEngine, note: Note, is_long: bool
) -> None:
    with bots.watched(fleet) as seen:
        for wait in (0.3, 0.8) if is_long else (0.5,):
            restart = fleet.piped("restart", "one", "two")
            time.sleep(wait)
            with engine.frozen():
                output = "".join(restart.communicate(timeout=FROZEN_BOUND_S))
            assert restart.returncode in {0, 5}, output
            assert restart.returncode == 0 or "was stopped, as by SIGSTOP" in output
            fleet.manager("up", "--wait")
            as_it_should_be(fleet)
    assert set(seen.most.values()) <= {1}
    note(
        "dockerd stands still in the middle of a restart",
        "SIGSTOP after 0.3 and 0.8 s",
        2,
        f"done before, or exit code 5 within {FROZEN_BOUND_S:.0f} s; the next `up` brings all up; never two"
        " bots",
    )


@pytest.mark.long_form
def test_logs_follow_through_an_engine_restart(
    fleet: Project, engine: OwnEngine, note: Note, is_long: bool
) -> None:
    follower = started(fleet, "logs", "-f", "one", "two")
    lines: list[str] = []
    assert follower.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        for how in ("stop", "kill") if is_long else ("kill",):
            eventually(lambda: any("tick" in line for line in lines), what="lines")
            getattr(engine, how)()
            lines.clear()
            engine.start()
            if how == "kill":
                fleet.manager("up")
            eventually(lambda: any(line.startswith("one | tick") for line in lines), 60, f"lines after {how}")
            eventually(lambda: any(line.startswith("two | tick") for line in lines), 60, f"lines after {how}")
        assert follower.poll() is None
        assert not any("Traceback" in line for line in lines)
    finally:
        follower.kill()
    note(
        "`logs -f` while the engine goes and comes", "SIGTERM, SIGKILL of dockerd", 2, "goes on where it was"
    )


def test_all_that_ran_comes_back_and_only_that(
    fleet: Project, engine: OwnEngine, note: Note, is_long: bool
) -> None:
    with bots.watched(fleet) as seen:
        engine.stop()
        assert bots.pids(fleet, "one") == []
        done = fleet.manager("ps", code=5)
        assert done.err.startswith("error: no Docker Engine answers")
        engine.start()
        as_it_should_be(fleet)
        if is_long:
            engine.kill(everything=True)
            engine.start()
            as_it_should_be(fleet)
            engine.kill()
            engine.start()
            fleet.manager("up")
            as_it_should_be(fleet)
    assert set(seen.most.values()) == {1}
    for how, held in (
        ("SIGTERM of dockerd", "all that ran comes back by itself, what a person stopped stays down"),
        ("SIGKILL of dockerd, containerd, shims, bots", "the same"),
        ("SIGKILL of dockerd alone", "the next `up` brings back exactly what should run"),
    ):
        note("the engine goes and comes", how, 1, held)


@pytest.mark.long_form
def test_an_engine_killed_under_a_command_leaves_nothing_that_up_does_not_mend(
    fleet: Project, engine: OwnEngine, note: Note, is_long: bool
) -> None:
    commands = (["restart", "one", "two"], ["up"], ["down", "one", "two"])
    times = 18 if is_long else 1
    dice = random.Random(9)
    codes, again = [], 0
    with bots.watched(fleet) as seen:
        for number in range(times):
            command = commands[number % len(commands)]
            fleet.change("one", strategy_config={"quantity": 1 + number})
            manager = started(fleet, *command)
            time.sleep(dice.uniform(0.5, 1.5))
            engine.kill(everything=number % 2 == 1)
            output = manager.communicate(timeout=90)[0]
            codes.append(manager.returncode)
            assert manager.returncode in {0, 5}, output
            assert manager.returncode == 0 or "Docker Engine" in output
            engine.start()
            again += mended(fleet, engine) > 1
            as_it_should_be(fleet)
            assert "nothing to do" in fleet.manager("plan").out
    assert set(seen.most.values()) == {1}
    note(
        "the engine is killed under restart, up, down",
        "SIGKILL after a random time, dockerd alone and everything by turns",
        times,
        f"exit code 5 ({codes.count(5)} times) or done before; the next `up` mends it, {again} times the "
        f"one after; never two bots",
    )


@pytest.mark.long_form
def test_two_engines_on_one_data_folder_run_one_bot(
    project: Project, engine: OwnEngine, fault_image: str, note: Note
) -> None:
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    theirs = project.docker("inspect", "--format", "{{.Id}}", project.container("one"))[:12]
    engine.docker("tag", fault_image, f"{project.name}-bot:local")
    other = engine.environ
    with bots.watched(project) as seen:
        refused = f"one: its bot is already running in container {theirs}"
        assert refused in project.manager("up", code=1, environ=other).err
        project.manager("compose")
        engine_env = {**project.environ, **other}
        compose = ["docker", "compose", "up", "-d"]
        subprocess.run(
            compose, cwd=project.folder, env={**os.environ, **engine_env}, check=True, capture_output=True
        )
        mine = f"label=com.docker.compose.project={project.name}"
        second = engine.docker("ps", "-q", "--no-trunc", "--filter", mine).strip()
        eventually(
            lambda: "no second bot is started here" in engine.output_of(second),
            what="the second one says why",
        )
        row = project.manager("ps", "--json", environ=other).json[0]
        assert (row["state"], row["word"]) == ("unhealthy", "elsewhere")
        assert theirs in row["why"]
        assert refused in project.manager("stop", code=1, environ=other).err
        assert project.states() == {"one": "running"}
        project.manager("down", code=1, environ=other)
    assert seen.most["one"] == 1
    note(
        "two engines on one data folder",
        "`manager up` and `docker compose up` with another DOCKER_HOST",
        1,
        "the second bot never starts; logs, health and `ps` name the container that runs it",
    )


@pytest.mark.long_form
def test_without_an_address_for_its_network_nothing_is_left_half_made(
    fleet: Project, engine: OwnEngine, note: Note
) -> None:
    fleet.manager("down")
    taken: list[str] = []
    while made := engine.docker("network", "create", f"bft-taken-{len(taken)}").strip():
        taken.append(made)
        assert len(taken) < 100, "the engine's addresses do not end"
    try:
        done = fleet.manager("up", code=1)
        for name in ("one", "two"):
            assert f"cannot start {name}: the engine has no addresses left for the network" in done.err
        assert "`docker network prune`" in done.err
        mine = f"label=com.docker.compose.project={fleet.name}"
        assert not engine.docker("ps", "--all", "--quiet", "--filter", mine)
    finally:
        engine.docker("network", "rm", *taken)
    fleet.manager("up")
    bots.until(fleet, "running", "one", "two")
    note(
        "the engine has no address for a network",
        f"{len(taken)} networks of others, then up",
        1,
        "the error names it for each instance, no container is left; `up` goes on when there is room",
    )
