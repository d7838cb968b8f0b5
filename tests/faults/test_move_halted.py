"""A halt, of one machine or of both, at any moment of a move between them: no bot runs where it was halted.

`PYTHONPATH=docker/bot python -m tests.faults.test_move_halted 20` runs that many rounds.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import forks, sshd_here
from tests.faults import bots
from tests.faults.conftest import Note, build_fault_image
from tests.faults.test_move import ID, Machines, two_machines
from tests.fleet import Done, Project
from tests.two_machines import runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long_form,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ROUNDS = 24
MOVE_S = 6.0
"""A move takes about so long on an idle machine, and longer on a busy one."""
SETTLE_S = 4.0
HALTS = (("halt", "--hosts"), ("halt",), ("--host", "there", "halt"))


def rounds(machines: Machines, times: int, seed: int) -> list[str]:
    """Halt during moves there and back, look, and have it run again. Returns what went wrong."""
    dice, faults, is_back = random.Random(seed), list[str](), False
    with bots.watched(machines.here) as seen:
        for number in range(times):
            source, target = machines.of(is_back=is_back)
            words, delay = HALTS[number % len(HALTS)], dice.uniform(0, MOVE_S)
            with Path(os.devnull).open("wb") as nowhere:
                mover = forks.start(
                    forks.MANAGER,
                    ["manager", "move", ID, *(["--from", "there"] if is_back else ["there"])],
                    machines.here.folder,
                    {**os.environ, **machines.here.environ},
                    nowhere.fileno(),
                    nowhere.fileno(),
                )
            time.sleep(delay)
            step = machines.step
            halted = machines.here.manager(*words, code=None)
            mover.wait(300)
            time.sleep(SETTLE_S)
            wrong = [
                name
                for name, side in (("here", machines.here), ("there", machines.there))
                if runs(side) and name in _halted_by(words)
            ]
            what = f"{' '.join(words)} ({halted.code}) after {delay:.1f} s at {step}, {is_back=}"
            print(f"{number + 1} of {times}: {what}: {wrong or 'holds'}", flush=True)
            if wrong:
                faults.append(f"{what}: runs {wrong}\n{halted.out}{halted.err}")
            is_back = not _is_here_again(machines, source, target)
    return [*faults, *(f"{count} bots at once" for count in seen.most.values() if count > 1)]


def _halted_by(words: tuple[str, ...]) -> tuple[str, ...]:
    return {HALTS[0]: ("here", "there"), HALTS[1]: ("here",), HALTS[2]: ("there",)}[words]


def _is_here_again(machines: Machines, source: Project, target: Project) -> bool:
    """Bring the bot up where it is now, the move being ended first if it is not."""
    for _try in range(3):
        if machines.step == "done":
            break
        if machines.here.manager("move", ID, "--back", code=None).code != 0:
            words = ["there"] if target is machines.there else ["--from", "there"]
            machines.here.manager("move", ID, *words, code=None)
    tried = list[Done]()
    for side in (source, target):
        tried.append(side.manager("start", ID, "--wait", code=None))
        if runs(side):
            return side is machines.here
    raise AssertionError(tried)


def test_a_halt_at_any_moment_of_a_move_holds(tmp_path: Path, fault_image: str, note: Note) -> None:
    with two_machines(tmp_path, fault_image) as machines:
        assert rounds(machines, ROUNDS, 15) == []
    note(
        "a halt during a move to another machine",
        "of both machines, of this one, of the other one, at a random moment",
        ROUNDS,
        "no bot runs where it was halted, and never two",
    )


def main(times: int) -> None:
    """Run the rounds, and print what went wrong."""
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp", prefix="move-") as folder,
        two_machines(Path(folder), build_fault_image()) as machines,
    ):
        print("\n".join(rounds(machines, times, int(time.time()))) or "nothing went wrong")


if __name__ == "__main__":
    main(int((sys.argv[1:] or [str(ROUNDS)])[0]))
