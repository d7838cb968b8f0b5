"""A move that is killed, or whose link is cut, at any step: never two bots, never a row lost.

`PYTHONPATH=docker/bot python -m tests.faults.test_move 100` runs that many rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from manager.ops.move.journal import ORDER
from tests import forks, sshd_here
from tests.faults import bots
from tests.faults.conftest import SETTINGS, Note, build_fault_image, new_project
from tests.fleet import Project, eventually
from tests.sshd_here import Sshd
from tests.two_machines import another, database, runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID = "one"
LONG = 100
ENDS = ("again", "back")


class Machines(NamedTuple):
    """This machine, the other one, and the link between them."""

    here: Project
    there: Project
    link: Sshd

    def of(self, *, is_back: bool) -> tuple[Project, Project]:
        """Return the source and the target of a move."""
        return (self.there, self.here) if is_back else (self.here, self.there)

    @property
    def journal(self) -> dict[str, object] | None:
        try:
            return dict(json.loads((self.here.folder / f"volumes/state/moves/{ID}.json").read_text()))
        except FileNotFoundError:
            return None

    @property
    def step(self) -> str:
        return "done" if self.journal is None or self.journal["is_done"] else str(self.journal["step"])


@contextmanager
def two_machines(folder: Path, image: str) -> Iterator[Machines]:
    python = forks.python(folder)
    with (
        new_project(folder / "here", image) as here,
        another(folder / "there", image, python=python) as there,
        sshd_here.running(folder / "s") as link,
    ):
        settings = there.folder / "config" / "fleet.toml"
        settings.write_text(f'name = "{there.name}"\n{SETTINGS}')
        here.environ.update({**link.environ, forks.PYTHON: python})
        bots.add(here, ID, 0)
        here.manager("host", "add", "there", link.url(there.folder))
        here.manager("up", "--wait")
        yield Machines(here, there, link)


def rounds(machines: Machines, times: int, seed: int) -> Counter[str]:
    """Fail moves at every step in turn, and end each one; return what was done how often."""
    dice, done, is_back, began = random.Random(seed), Counter[str](), False, time.monotonic()
    with bots.watched(machines.here) as seen:
        for number in range(times):
            source, target = machines.of(is_back=is_back)
            bots.tell(source, ID, "write")
            eventually(lambda source=source: written(source) > 0, what="rows")  # type: ignore[misc]
            kind = ("kill", "cut")[number % 2]
            step = ORDER[(number // 2) % len(ORDER)]
            words = ["--from", "there"] if is_back else ["there"]
            failed_at = fail(machines, words, kind, step, dice.uniform(0, 0.6))
            assert not (runs(source) and runs(target)), (number, kind, step)
            end = dice.choice(ENDS)
            where = finish(machines, words, end, source, target)
            done[f"{kind} at {failed_at}, {end}"] += 1
            assert runs(where), (number, kind, step, end)
            other = source if where is target else target
            assert not runs(other), (number, kind, step, end)
            assert seen.most[ID] == 1, f"round {number}: {seen.most[ID]} bots at once"
            assert unbroken(where) >= unbroken(other), (number, kind, step, end)
            is_back = where is machines.there
            print(f"{number + 1} of {times}: {kind} at {failed_at}, {end}; {time.monotonic() - began:.0f} s")
    assert seen.looks > times
    return done


def fail(machines: Machines, words: list[str], kind: str, step: str, delay: float) -> str:
    """Begin a move, and kill it or cut its link at this step. Returns the step that it really was at."""
    before = machines.journal
    with Path(os.devnull).open("wb") as nowhere:
        mover = forks.start(
            forks.MANAGER,
            ["manager", "move", ID, *words],
            machines.here.folder,
            {**os.environ, **machines.here.environ},
            nowhere.fileno(),
            nowhere.fileno(),
        )
    try:
        while mover.poll() is None and not (machines.journal != before and machines.step == step):
            time.sleep(0.005)
        time.sleep(delay)
        reached = machines.step
        if kind == "cut":
            machines.link.stop()
            mover.wait(120)
        return reached
    finally:
        mover.kill()
        mover.wait()
        if kind == "cut":
            machines.link.start()


def finish(machines: Machines, words: list[str], end: str, source: Project, target: Project) -> Project:
    """End the move. Returns the machine that it has to be on then."""
    if machines.step == "done":
        return source if runs(source) else target
    if end == "back":
        called_off = machines.here.manager("move", ID, "--back", code=None)
        if called_off.code == 0:
            return source
        assert "has arrived there already" in called_off.err, called_off.err
    for _try in range(3):  # a step of the killed move may still be at work on either side
        if machines.here.manager("move", ID, *words, code=None).code == 0:
            break
    else:
        machines.here.manager("move", ID, *words)
    return target


def opened(project: Project) -> sqlite3.Connection:
    """The instance's database, which only its bot may create."""
    return sqlite3.connect(f"file:{database(project, ID)}?mode=ro", uri=True, timeout=30)


def written(project: Project) -> int:
    with (
        contextlib.suppress(sqlite3.Error),
        closing(opened(project)) as db,
    ):
        return int(db.execute("SELECT max(id) FROM fills").fetchone()[0] or 0)
    return 0


def unbroken(project: Project) -> int:
    """The last row: they count from 1, and none is missing. 0 where it has never been."""
    if not database(project, ID).exists():
        return 0
    with closing(opened(project)) as db:
        most, count = db.execute("SELECT max(id), count(*) FROM fills").fetchone()
        assert most == count, f"{count} rows of {most}"
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(most)


@pytest.mark.long_form
def test_a_move_that_fails_at_any_step_is_ended_by_the_next(
    tmp_path: Path, fault_image: str, note: Note
) -> None:
    with two_machines(tmp_path, fault_image) as machines:
        done = rounds(machines, LONG, 21)
    note(
        "a move to another machine fails at any of its steps",
        "SIGKILL of the manager, the link cut, in turn at each step; then run again, or called off",
        LONG,
        f"one bot at any moment, no row lost, on the machine that was said ({dict(done)})",
    )


def main(times: int) -> None:
    """Run the rounds, and print what was done."""
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp", prefix="move-") as folder,
        two_machines(Path(folder), build_fault_image()) as machines,
    ):
        for what, count in sorted(rounds(machines, times, int(time.time())).items()):
            print(f"{count:4} {what}")


if __name__ == "__main__":
    main(int((sys.argv[1:] or [str(LONG)])[0]))
