"""A halt, and a forced stop, while others start: whoever waits for the lock, tries again and again, watches,
upgrades, restores.

One harness for this tree's manager and for that of an earlier commit, whose figures tell whether it proves
anything: `PYTHONPATH=docker/bot python -m tests.faults.test_halt_races 71b0349 200` prints in how many of 200
rounds bots ran after its halt.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults import bots
from tests.faults.conftest import BOT_OF_ITS_OWN, SETTINGS, Note, build_fault_image
from tests.fleet import ROOT, Project, a_project
from tests.forks import Fork
from tests.upgrade.old_fleet import COMMIT, check_out, of_code

pytestmark = pytest.mark.engine

INSTANCES = ("a", "b", "c")
SETTLE_S = 4.0
"""A bot that was started against a halt ran 0.1 to 3.5 s after its end."""
LONG_ROUNDS = 200
Program = subprocess.Popen[bytes] | Fork
COMMANDS = (("halt",), ("stop",), ("stop", "--force"), ("down",), ("down", "--force"))
SHORT = (("down", "--force"), ("halt",))
"""A round each: while others wait for the lock, and while others try again and again."""


class ManagedProject(NamedTuple):
    """A project, and the variables that choose whose manager works on it."""

    project: Project
    environ: Mapping[str, str] = {}

    def manager(self, *args: str, code: int | None = None) -> str:
        done = self.project.manager(*args, code=code, environ=self.environ, timeout=400)
        return done.out + done.err

    def begin(self, *args: str) -> Program:
        return self.project.begin(*args, environ=self.environ)

    def retrying(self, *args: str) -> Program:
        words = " ".join(self.project.command(*args))
        return subprocess.Popen(
            ["sh", "-c", f"n=0; until {words} || [ $n -ge 15 ]; do n=$((n+1)); sleep 0.1; done"],
            cwd=self.project.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.project.environ, **self.environ},
        )

    def alive(self, processes: bots.Processes) -> list[str]:
        running = {symbol for symbol, _pid in processes.bots()}
        return [name for name in INSTANCES if bots.symbol(self.project, name) in running]

    def change_configs(self, number: int) -> None:
        for name in INSTANCES:
            self.project.change(name, daemon_config={"memory_limit_mb": 200 + number % 50})


def waiters(managed: ManagedProject) -> list[Program]:
    """The holder changes three slow bots, and two wait for it."""
    first = managed.begin("up")
    time.sleep(0.3)
    return [first, managed.begin("up", "--lock-wait", "60"), managed.begin("up", "--lock-wait", "60")]


def named_waiters(managed: ManagedProject) -> list[Program]:
    """Name the instances: whoever names one asks for it to run."""
    first = managed.begin("up")
    time.sleep(0.3)
    return [first, *(managed.begin("start", instance, "--lock-wait", "60") for instance in INSTANCES[:2])]


def retry_loops(managed: ManagedProject) -> list[Program]:
    """Two scripts that try until it goes well."""
    first = managed.begin("up")
    time.sleep(0.3)
    return [first, managed.retrying("up"), managed.retrying("up")]


def upgrade(managed: ManagedProject) -> list[Program]:
    first = managed.begin("upgrade", "--ready", "1", "--batch", "3")
    time.sleep(0.3)
    return [first, managed.begin("up", "--lock-wait", "60")]


def restarts(managed: ManagedProject) -> list[Program]:
    first = managed.begin("restart", *INSTANCES)
    time.sleep(0.3)
    return [first, managed.begin("up", "--lock-wait", "60")]


def restore(managed: ManagedProject) -> list[Program]:
    """Restores wait for the lock among those that start."""
    (backup,) = sorted((managed.project.folder / "volumes" / "backups").glob("*"))[:1]
    first = managed.begin("up")
    time.sleep(0.3)
    restoring = managed.begin("restore", str(backup), "--lock-wait", "60")
    return [first, restoring, managed.begin("up", "--lock-wait", "60")]


def rollback(managed: ManagedProject) -> list[Program]:
    """An upgrade is undone, and others wait."""
    managed.manager("upgrade", "--ready", "0", "--batch", "3")
    first = managed.begin("rollback")
    time.sleep(0.3)
    return [first, managed.begin("up", "--lock-wait", "60")]


KINDS: tuple[Callable[[ManagedProject], list[Program]], ...] = (
    waiters,
    retry_loops,
    named_waiters,
    upgrade,
    restarts,
    restore,
    rollback,
)


ASKED_BEFORE = tuple(kind for kind in dict.fromkeys(KINDS) if kind is not retry_loops)
"""A loop that tries `up` again gives a new command, and `down` keeps nobody from that."""


def kinds_of(command: tuple[str, ...]) -> Sequence[Callable[[ManagedProject], list[Program]]]:
    """Return who starts meanwhile."""
    return ASKED_BEFORE if command[0] == "down" else KINDS


class Round(NamedTuple):
    """What one round came to: who ran after the halt had ended, and what the next `up` started."""

    kind: str
    code: int
    alive: list[str]
    started_later: list[str]
    seconds: float

    @property
    def has_failed(self) -> bool:
        return bool(self.alive or self.started_later)


def run_round(
    managed: ManagedProject, number: int, chance: random.Random, command: tuple[str, ...] = ("halt",)
) -> Round:
    """Bring all up, let others start, halt in the middle, and look."""
    managed.manager("resume")
    managed.manager("start", *INSTANCES, "--wait")
    managed.change_configs(number)
    kinds = kinds_of(command)
    kind = kinds[number % len(kinds)]
    others = kind(managed)
    time.sleep(chance.uniform(0.05, 1))
    began = time.monotonic()
    done = managed.project.manager(*command, code=None, environ=managed.environ, timeout=400)
    took = time.monotonic() - began
    seen: set[str] = set()
    processes = bots.Processes()
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        seen.update(managed.alive(processes))
        if deadline is None and all(process.poll() is not None for process in others):
            deadline = time.monotonic() + SETTLE_S
        time.sleep(0.05)
    if command[0] == "down":
        return Round(kind.__name__, done.code, sorted(seen), [], took)
    managed.manager("up")
    return Round(
        kind.__name__, done.code, sorted(seen), sorted(set(managed.alive(bots.Processes())) - seen), took
    )


@contextlib.contextmanager
def a_desk(
    folder: Path, image: str, environ: Mapping[str, str] | None = None, settings: str = SETTINGS
) -> Iterator[ManagedProject]:
    """Three bots that need three seconds to end, a backup of them, and a `watch` all the while."""
    with a_project(folder, image, settings) as project:
        managed = ManagedProject(project, environ or {})
        for number, name in enumerate(INSTANCES):
            bots.add(project, name, number, "slow", daemon_config={"memory_limit_mb": 64})
        managed.manager("up", "--wait", code=0)
        managed.manager("backup", code=0)
        watch = managed.begin("watch")
        try:
            yield managed
        finally:
            watch.terminate()
            watch.wait()


def test_nobody_starts_what_was_stopped_once_by_two_commands(tmp_path: Path, fault_image: str) -> None:
    """Who starts meanwhile is another one in each round."""
    chance = random.Random(15)
    with a_desk(tmp_path / "project", fault_image) as managed:
        for number, command in enumerate(SHORT):
            outcome = run_round(managed, number, chance, command)
            assert not outcome.has_failed, (command, outcome)


@pytest.mark.long_form
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nobody_starts_what_was_stopped(
    tmp_path: Path, fault_image: str, note: Note, command: tuple[str, ...]
) -> None:
    first = 2 * COMMANDS.index(command)  # each begins with other kinds
    rounds = LONG_ROUNDS if command == ("halt",) else 30
    chance = random.Random(15)
    outcomes = []
    with a_desk(tmp_path / "project", fault_image) as managed:
        for number in range(first, first + rounds):
            outcomes.append(run_round(managed, number, chance, command))
            assert not outcomes[-1].has_failed, outcomes[-1]
    note(
        f"`{' '.join(command)}` while others start",
        "waiters, retry loops, watch, upgrade, restart, restore, rollback",
        rounds,
        f"0 bots afterwards; it took {max(outcome.seconds for outcome in outcomes):.0f} s at most",
    )


def main(commit: str, rounds: int, command: tuple[str, ...]) -> None:
    """Count the rounds of an earlier commit's manager in which bots ran after its halt."""
    image, failed = build_fault_image(), 0
    with tempfile.TemporaryDirectory() as folder:
        is_ours = commit == "."
        code = ROOT if is_ours else check_out(commit, Path(folder, "code"))
        settings = SETTINGS if is_ours else BOT_OF_ITS_OWN  # no key that an earlier commit does not know
        with a_desk(Path(folder, "project"), image, of_code(code), settings) as managed:
            chance = random.Random(15)
            for number in range(rounds):
                outcome = run_round(managed, number, chance, command)
                failed += outcome.has_failed
                print(f"{failed} of {number + 1} rounds failed; {outcome}", flush=True)


if __name__ == "__main__":
    main((sys.argv[1:] or [COMMIT])[0], int((sys.argv[2:] or ["200"])[0]), tuple(sys.argv[3:]) or ("halt",))
