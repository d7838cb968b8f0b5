"""A disk that gets full in the middle of a move: of the source, of the target, of the machine that moves."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests import sshd_here
from tests.faults import bots
from tests.faults.conftest import Note
from tests.faults.engines import needs_root
from tests.faults.test_disk import a_small_disk, fill
from tests.faults.test_move import ID, Machines, two_machines, unbroken, written
from tests.fleet import eventually
from tests.two_machines import database, runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long_form,
    needs_root,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

SIZE = "size=160m,mode=755"
"""Room for a move, which needs 64 MB beside its copies."""


@pytest.mark.parametrize("step", ["halt", "bury", "pack", "copy", "put"])
@pytest.mark.parametrize("full", ["here", "there"])
@pytest.mark.parametrize("is_back", [False, True], ids=["away", "back"])
def test_a_disk_gets_full_in_the_middle_of_a_move(
    tmp_path: Path, fault_image: str, note: Note, full: str, step: str, *, is_back: bool
) -> None:
    """`here` is the source or the target, and the caller in either case."""
    with a_small_disk(tmp_path / full, SIZE) as disk, two_machines(tmp_path, fault_image) as machines:
        if is_back:
            machines.here.manager("move", ID, "there")
        source, target = machines.of(is_back=is_back)
        bots.tell(source, ID, "write")
        eventually(lambda: written(source) > 0, what="rows")
        database(source, ID).with_name("more").write_bytes(os.urandom(4_000_000))
        words = ["move", ID, *(["--from", "there"] if is_back else ["there"])]
        code, told, ballast = filled_at(machines, step, disk, words)
        assert not (runs(source) and runs(target))
        if code != 0:
            assert "space" in told or "disk" in told, told
            ballast.unlink()
            machines.here.manager(*words)
        assert runs(target)
        assert not runs(source)
        assert unbroken(target) >= unbroken(source) > 0
        assert database(target, ID).with_name("more").stat().st_size == 4_000_000
    note(
        f"the disk of a machine gets full in the middle of a move (at {step})",
        f"a tmpfs under its project folder without a free byte ({full}, {'back' if is_back else 'away'})",
        1,
        "the reason is said" if code else "the move had what it needed",
    )


def filled_at(machines: Machines, step: str, disk: Path, words: list[str]) -> tuple[int, str, Path]:
    """Begin a move, and leave its disk no byte at this step. Returns its end, and what is to be removed."""
    before, output = machines.journal, machines.link.folder / "moved"
    mover = machines.here.begin(*words, output=output)
    try:
        while mover.poll() is None and not (machines.journal != before and machines.step == step):
            time.sleep(0.005)
        most = disk / "most"
        with suppress(OSError), most.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 20))
        ballast = fill(disk)
        code = mover.wait(600)
    finally:
        mover.kill()
        mover.wait()
    most.unlink()
    return code, output.read_text(), ballast
