"""Never two bots of one instance, whatever is killed, and whoever else starts one."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults import bots
from tests.faults.conftest import Note, new_project
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine

INSTANCES = ("one", "two")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, fault_image: str) -> Iterator[Project]:
    with new_project(tmp_path_factory.mktemp("never-two") / "project", fault_image) as made:
        for port, name in enumerate(INSTANCES):
            bots.add(made, name, port)
        yield made


@pytest.fixture
def fleet(shared: Project) -> Project:
    """Two instances, up and healthy, and no other container, whatever an earlier test has done."""
    if others := [name for name in shared.ids() if name.endswith(("-by-hand", "-stray"))]:
        shared.docker("rm", "-f", *others)
    shared.manager("up", "--wait", *INSTANCES)
    return shared


def started(project: Project, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*args),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.folder,
        env={**os.environ, **project.environ},
    )


def test_a_manager_killed_at_any_moment_is_mended_by_the_next(
    fleet: Project, note: Note, is_long: bool
) -> None:
    times = 100 if is_long else 3
    commands = (["up"], ["restart"], ["down"], ["up"])
    dice = random.Random(4)
    killed_in: Counter[str] = Counter()
    with bots.watched(fleet) as seen:
        for number in itertools.count():
            if killed_in.total() == times:
                break
            command = commands[number % len(commands)]
            if number % len(commands) in (0, 3):  # so that `up` has something to recreate
                fleet.change(INSTANCES[number % 2], strategy_config={"quantity": 1 + number})
            manager = started(fleet, *command)
            time.sleep(dice.uniform(0.1, 0.8))
            manager.kill()
            killed_in[command[0]] += manager.wait() == -signal.SIGKILL
            fleet.manager("up")
            assert set(fleet.ids()) == {fleet.container(instance_id) for instance_id in INSTANCES}
            assert fleet.manager("plan").out == "nothing to do\n"
        bots.until(fleet, "running", *INSTANCES)
    assert dict(seen.most) == {"one": 1, "two": 1}
    kills = ", ".join(f"{count} in {name}" for name, count in sorted(killed_in.items()))
    note(
        "the manager dies at any step",
        f"SIGKILL after a random time: {kills}",
        times,
        f"the next `up` converges; never two bots of one instance in {seen.looks} counts",
    )


def test_ten_ups_at_once_make_one_container_each(project: Project, note: Note, is_long: bool) -> None:
    for port, name in enumerate(INSTANCES):
        bots.add(project, name, port)
    with bots.watched(project) as seen:
        managers = [project.piped("up") for _ in range(10 if is_long else 4)]
        ended = [(manager.communicate(timeout=120)[1], manager.returncode) for manager in managers]
        bots.until(project, "running", *INSTANCES)
    assert {code for _err, code in ended} <= {0, 7}
    assert any(code == 0 for _err, code in ended)
    assert all("`manager up` (pid " in err for err, code in ended if code == 7)
    assert dict(seen.most) == {"one": 1, "two": 1}
    assert (
        len(
            project.docker(
                "ps", "-aq", "--filter", f"label=com.docker.compose.project={project.name}"
            ).split()
        )
        == 2
    )
    note(
        "ten `manager up` at once",
        "ten processes on an empty project",
        10,
        "one container each, exit codes 0 and 7 only",
    )


def test_a_bot_started_by_compose_run_idles(fleet: Project, note: Note) -> None:
    fleet.manager("compose")
    with bots.watched(fleet) as seen:
        fleet.compose("run", "-d", "--name", f"{fleet.name}-by-hand", "one")
        eventually(
            lambda: "no second bot is started here" in bots.printed(fleet, f"{fleet.name}-by-hand"),
            what="a refusal",
        )
        health = fleet.docker("exec", f"{fleet.name}-by-hand", "/opt/botfleet/healthcheck", check=False)
        assert "locked" in health
        done = fleet.manager("ps")
        assert f"{fleet.name}-by-hand" in done.err
        assert "docker rm -f" in done.err
        assert fleet.states() == {"one": "running", "two": "running"}
        assert len(fleet.manager("list").out.splitlines()) == 4
    assert seen.most["one"] == 1
    note(
        "`docker compose run` of a running instance",
        "by hand",
        1,
        "it idles unhealthy, says why; `ps` names it",
    )


def test_the_bot_of_a_one_off_keeps_the_manager_from_starting_another(fleet: Project, note: Note) -> None:
    fleet.manager("compose")
    fleet.manager("stop", "one")
    with bots.watched(fleet) as seen:
        fleet.compose("run", "-d", "--name", f"{fleet.name}-by-hand", "one")
        eventually(lambda: bots.pids(fleet, "one"), what="the one-off's bot")
        done = fleet.manager("start", "one", code=1)
        assert "its bot is already running in container" in done.err
        row = fleet.ps()["one"]
        assert (row["state"], row["word"]) == ("unhealthy", "elsewhere")
        assert "which is not the instance's own" in row["why"]
        for command in ("stop", "up", "restart", "down"):  # a bot trades on: none may say that all is well
            assert "its bot is already running" in fleet.manager(command, "one", code=1).err
        fleet.docker("rm", "-f", f"{fleet.name}-by-hand")
        fleet.manager("start", "one", "--wait")
    assert seen.most["one"] == 1
    note(
        "a one-off's bot runs while the instance is down",
        "`docker compose run`, then every command",
        1,
        "`ps` shows it; start, stop, up, restart, down say where the bot runs and end with 1; all is well"
        " once it is gone",
    )


def test_a_stray_container_with_our_labels_is_named_and_left_alone(fleet: Project, note: Note) -> None:
    labels = (
        f"com.docker.compose.project={fleet.name}",
        "botfleet.instance=one",
        "com.docker.compose.oneoff=False",
        f"com.docker.compose.project.working_dir={fleet.folder}",
    )
    options = [word for label in labels for word in ("--label", label)]
    fleet.docker(
        "run",
        "-d",
        "--name",
        f"{fleet.name}-stray",
        *options,
        "--entrypoint",
        "sleep",
        f"{fleet.name}-bot:local",
        "600",
    )
    before = fleet.ids()
    assert f"{fleet.name}-stray" in fleet.manager("ps").err
    assert "nothing to do" in fleet.manager("up").out
    assert fleet.ids() == before
    fleet.manager("down")
    assert set(fleet.ids()) == {f"{fleet.name}-stray"}
    note(
        "a stray container with our labels",
        "`docker run --label`",
        1,
        "named in `ps`, never taken for the instance",
    )
