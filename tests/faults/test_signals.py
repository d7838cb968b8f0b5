"""A signal in the middle of a change: no bot is left down that was stopped only to be started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from manager.util import interrupts
from tests.faults import bots
from tests.faults.conftest import Note
from tests.fleet import Done, Project, eventually
from tests.standby import BY_STANDBY, Standby

pytestmark = pytest.mark.engine

IDS = ("one", "two", "three")
ROUNDS = 30
MOST_S = 6.0
"""Of slow bots, a restart takes about so long."""


def a_fleet(project: Project) -> None:
    """Three bots that need 3 s to end."""
    for port, instance in enumerate(IDS):
        bots.add(project, instance, port, "slow")
    project.manager("up", "--wait")


def started(project: Project, *args: str) -> subprocess.Popen[str]:
    """Start a command, not by a standby."""
    return subprocess.Popen(
        project.command(*args),
        cwd=project.folder,
        env={**os.environ, **project.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_stops(project: Project) -> None:
    """Wait until a bot is being stopped."""
    eventually(
        lambda: any(project.supervisor(instance)["state"] != "running" for instance in IDS),
        what="a bot is being stopped",
    )


def ended(process: subprocess.Popen[str]) -> Done:
    """Return what a command did."""
    out, err = process.communicate(timeout=120)
    return Done(process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long_form)])
def test_a_restart_that_is_ended_starts_what_it_has_stopped(
    project: Project, note: Note, number: signal.Signals
) -> None:
    """It comes twice, as from `timeout`, which sends it to the program and to its group."""
    a_fleet(project)
    process = started(project, "restart")
    wait_for_stops(project)
    process.send_signal(number)
    time.sleep(0.01)
    process.send_signal(number)
    done = ended(process)
    assert done.code == 128 + number, done
    assert "interrupted: what had begun was finished" in done.err
    named = sum(line.endswith("was left as it was: interrupted") for line in done.err.splitlines())
    assert done.out.count(": restarted (requested") + named == len(IDS), "each one is told of"
    bots.until(project, "running", *IDS)
    note(
        f"{number.name} in the middle of a restart",
        "when the first bot of three was being stopped, twice within 10 ms, as from `timeout`",
        1,
        f"exit code {128 + number}; all run",
    )


@pytest.mark.long_form  # without an engine: tests/unit/ops/test_flows_signals.py
def test_a_second_signal_ends_a_restart_at_once_and_the_next_one_mends_it(project: Project) -> None:
    a_fleet(project)
    process = started(project, "restart")
    wait_for_stops(project)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while "ending: " not in (line := process.stderr.readline()):
        assert line, "it has ended before the second signal"
    time.sleep(interrupts.SAME_ENDING_S)
    process.send_signal(signal.SIGTERM)
    done = ended(process)
    assert done.code == 128 + signal.SIGTERM
    assert "interrupted in the middle of " in done.err
    project.manager("restart", "--wait")
    bots.until(project, "running", *IDS)


def test_so_does_one_that_the_standby_runs(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environ = {**project.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("c")), "MANAGER_LANG": "en"}
    a_fleet(project)
    with Standby(project.folder, environ) as standby:
        process = standby.start(BY_STANDBY, ["restart"])
        wait_for_stops(project)
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"interrupted: what had begun was finished" in err
    bots.until(project, "running", *IDS)


@pytest.mark.long_form
def test_at_a_random_moment_of_any_change(project: Project, note: Note) -> None:
    a_fleet(project)
    seen = {"ended at once": 0, "finished what it had begun": 0, "done before": 0}
    for number in range(ROUNDS):
        command = ("restart", "stop", "down", "up", "start")[number % 5]
        if command == "up":
            project.change("one", daemon_config={"memory_limit_mb": 100 + number})
        process = started(project, command)
        time.sleep(random.uniform(0.1, MOST_S))
        process.send_signal(signal.SIGTERM)
        done = ended(process)
        assert "Traceback" not in done.err, done.err
        if "interrupted: what had begun" in done.err:
            seen["finished what it had begun"] += 1
        else:
            seen["done before" if done.code == 0 else "ended at once"] += 1
        states = set(project.states().values())
        if command in {"restart", "up"}:  # what ran before runs on
            bots.until(project, "running", *IDS)
        elif done.code not in (0, -signal.SIGTERM):
            assert states in ({"stopped"}, {"missing"}, {"running"}), (command, states, done)
        project.manager("up")
        project.manager("start", *IDS, "--wait")
    assert seen["finished what it had begun"]
    note("SIGTERM at a random moment of a change", "restart, stop, down, up, start", ROUNDS, str(seen))
