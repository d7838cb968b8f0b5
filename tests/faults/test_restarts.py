"""The restart rules, on a real engine: what is started again, what is given up, and who may clear that."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Project, eventually

pytestmark = pytest.mark.engine


def test_each_kind_of_end_is_told_and_followed_by_its_rule(project: Project, note: Note) -> None:
    bots.add(project, "crash", 0, "crash", daemon_config={"max_restart_attempts": 2})
    bots.add(project, "done", 1, "done")
    bots.add(project, "sick", 2, daemon_config={"unhealthy_probes": 2})
    bots.add(project, "shot", 3)
    bots.add(project, "hog", 4, daemon_config={"memory_limit_mb": 64})
    bots.add(project, "final", 5, daemon_config={"auto_restart": False})
    project.manager("up", "--wait", code=None)
    bots.until(project, "running", "shot", "hog", "final", "sick")
    os.kill(bots.pids(project, "shot")[0], signal.SIGSEGV)
    bots.tell(project, "hog", "hog")
    bots.tell(project, "sick", "sick")
    bots.tell(project, "final", "exit 9")

    bots.until(project, "failed", "crash", "final")
    bots.until(project, "completed", "done")
    rows = project.ps()
    crashed = rows["crash"]
    assert (crashed["restarts"], crashed["why"]) == (2, "exit code 3 (given up after 2 restarts in a row)")
    assert crashed["last_exit"]["stderr_tail"] == [f"fault number {number}" for number in range(6, 26)]
    assert crashed["last_exit"]["code"] == 3
    assert crashed["health"] == "unhealthy"
    assert rows["final"]["why"] == "exit code 9 (auto_restart is off)"
    assert (rows["done"]["last_exit"]["code"], rows["done"]["restarts"]) == (0, 0)
    shown = {line.split()[0]: line for line in project.manager("ps").out.splitlines()}
    assert "exit code 3 (given up after 2 restarts in a row)" in shown["crash"]

    shot = eventually(lambda: (now := project.ps()["shot"])["restarts"] == 1 and now, what="a restart")
    assert (shot["last_exit"]["signal"], shot["last_exit"]["oom"]) == ("SIGSEGV", False)
    # at least one: its memory is short for the next start, too
    hog = eventually(lambda: (now := project.ps()["hog"])["restarts"] >= 1 and now, what="a restart")
    assert (hog["last_exit"]["signal"], hog["last_exit"]["oom"]) == ("SIGKILL", True)
    assert hog["last_exit"]["why"] == "SIGKILL (out of memory)"
    bots.until(project, "running", "shot", "hog")
    assert "last exit: SIGSEGV" in project.manager("ps", "shot").out
    sick = eventually(lambda: (now := project.ps()["sick"])["restarts"] == 1 and now, what="a restart")
    assert sick["last_exit"]["why"] == "unhealthy: 2 probes failed (503 Service Unavailable)"
    for fault, how, held in (
        (
            "the bot crashes at every start",
            "exit 3",
            "restarted twice, then `failed`, with code, cause and 20 lines of stderr",
        ),
        ("the bot ends by itself", "exit 0", "`completed`, not restarted"),
        ("the bot is killed", "SIGSEGV", "restarted after its delay, the signal shown"),
        ("the bot eats its memory", "64 MB limit", "reported as out of memory, restarted"),
        (
            "the bot's /health says 503",
            "for good",
            "restarted after 2 failed probes (setting), then `failed`",
        ),
        ("auto_restart is off", "exit 9", "`failed` at once"),
    ):
        note(fault, how, 1, held)


# without an engine: test_restarts.py of tests/supervisor, test_flows_ended.py of tests/unit/ops
@pytest.mark.long_form
def test_an_end_for_good_outlives_restarts_and_only_a_person_clears_it(project: Project, note: Note) -> None:
    bots.add(project, "crash", 0, "crash", daemon_config={"max_restart_attempts": 0})
    bots.add(project, "done", 1, "done")
    project.manager("up")
    bots.until(project, "failed", "crash")
    bots.until(project, "completed", "done")
    for again in ("restart", "stop"):
        for name in ("crash", "done"):
            project.docker(again, project.container(name))
            if again == "stop":
                project.docker("start", project.container(name))
        time.sleep(1)
        bots.until(project, "failed", "crash")
        bots.until(project, "completed", "done")
    output = project.manager("up").out
    assert (
        "crash: left alone: failed (exit code 3 (given up after 0 restarts in a row)); `manager start crash`"
        in output
    )
    assert "done: left alone: completed" in output
    assert bots.printed(project, project.container("crash")).count("started the bot") == 1
    project.manager("start", "crash")
    eventually(
        lambda: bots.printed(project, project.container("crash")).count("started the bot") == 2,
        what="a second start",
    )
    project.manager("restart", "done")
    eventually(
        lambda: bots.printed(project, project.container("done")).count("started the bot") == 2,
        what="a second start",
    )
    note(
        "`failed` and `completed`",
        "container restarted, stopped and started; `up`; then `start`, `restart`",
        2,
        "stay as they are, and named by `up`; only a person's start or restart clears them",
    )


@pytest.mark.long_form  # the supervisor by itself: tests/supervisor/test_bot_life.py
def test_an_operators_stop_is_respected_while_a_restart_is_due(project: Project, note: Note) -> None:
    delay = 8  # a busy machine needs seconds until the stops have reached both
    for port, name in enumerate(("one", "two")):
        bots.add(project, name, port, daemon_config={"restart_delay": delay})
    project.manager("up", "--wait")
    for name in ("one", "two"):
        bots.tell(project, name, "exit 1")
    bots.until(project, "restarting", "one", "two")
    project.manager("stop", "one")
    project.docker("stop", project.container("two"))
    time.sleep(delay + 0.5)
    assert bots.pids(project, "one") == bots.pids(project, "two") == []
    assert project.states() == {"one": "stopped", "two": "stopped"}
    note("a stop while a restart is due", "`manager stop`, `docker stop`", 2, "no bot is started any more")


def test_a_dead_supervisor_or_container_is_the_engines_business(
    project: Project, note: Note, is_long: bool
) -> None:
    times = 2 if is_long else 1
    bots.add(project, "one", 0)
    project.manager("up", "--wait")
    container = project.ids()[project.container("one")]
    with bots.watched(project) as seen:
        for _time in range(times):
            before = bots.pids(project, "one")
            os.kill(bots.parent(before[0]), signal.SIGKILL)
            eventually(lambda: set(bots.pids(project, "one")) - set(before), what="another bot")  # noqa: B023
            bots.until(project, "running", "one")
    assert seen.most["one"] == 1
    assert project.ids()[project.container("one")] == container
    note(
        "the supervisor is killed",
        "SIGKILL",
        times,
        "its bot dies with it, the engine starts the container again; never two bots",
    )
