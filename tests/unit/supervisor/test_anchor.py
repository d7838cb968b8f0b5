"""The process whose pid stays true."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor import anchor
from supervisor.anchor import Anchor
from tests.supervisor.harness import alive, eventually, inheritable
from tests.unit.supervisor.journals import RecordedJournal


def kinds_of_open_files(pid: int) -> list[str]:
    """Return what the process has open, sorted: paths, and `pipe` without its number. A file that is closed
    meanwhile is not open.
    """
    kinds = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            kinds.append(str(path.readlink()).split(":")[0])
    return sorted(kinds)


def test_it_runs_until_it_is_stopped_and_holds_nothing(tmp_path: Path) -> None:
    it = Anchor(RecordedJournal())  # type: ignore[arg-type]
    fd = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(fd, True)
    # whoever runs the tests may have handed down more, as `make -j` does
    foreign = sorted(inheritable() - {0, 1, 2})
    assert fd in foreign
    it.start(foreign)
    pid = it.pid
    assert pid
    it.start(foreign)
    assert it.pid == pid, "started once"
    # until exec is over, /proc shows the files of the program loader, too
    eventually(lambda: kinds_of_open_files(pid) == ["/dev/null", "/dev/null", "pipe"])
    assert Path(f"/proc/{pid}/comm").read_text() == "cat\n"
    assert os.getsid(pid) == pid
    assert not it.has_died()
    it.stop()
    assert it.pid is None
    assert not alive(pid)
    it.stop()
    os.close(fd)


def test_one_that_was_killed_is_noticed_and_given_up_after_a_few() -> None:
    journal = RecordedJournal()
    it = Anchor(journal)  # type: ignore[arg-type]
    for _ in range(anchor.MAX_QUICK_DEATHS):
        it.start([])
        assert it.pid
        os.kill(it.pid, signal.SIGTERM)
        eventually(it.has_died)
        assert it.pid is None
    it.start([])
    assert it.pid is None
    assert journal.lines == ["no anchor process: it was killed again and again"]


def test_a_few_deaths_over_the_years_are_no_reason_to_give_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = RecordedJournal()
    it = Anchor(journal)  # type: ignore[arg-type]
    for is_quick in (True, True, False, True, True):
        monkeypatch.setattr(anchor, "MIN_LIFE_S", float("inf") if is_quick else 0.0)
        it.start([])
        assert it.pid
        os.kill(it.pid, signal.SIGTERM)
        eventually(it.has_died)
    it.start([])
    assert it.pid
    it.stop()
    assert journal.lines == []


def test_a_program_that_is_not_there_is_said_once() -> None:
    journal = RecordedJournal()
    it = Anchor(journal, "/nonexistent/cat")  # type: ignore[arg-type]
    it.start([])
    it.start([])
    assert it.pid is None
    assert journal.lines == ["no anchor process: cannot start /nonexistent/cat: No such file or directory"]
    it.stop()


def test_it_ends_with_its_supervisor() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        it = Anchor(RecordedJournal())  # type: ignore[arg-type]
        it.start([reading, writing])
        os.write(writing, str(it.pid).encode())
        os._exit(0)
    os.waitpid(child, 0)
    pid = int(os.read(reading, 100))
    eventually(lambda: not alive(pid))
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this kernel has no smaps_rollup")
def test_it_is_small() -> None:
    it = Anchor(RecordedJournal())  # type: ignore[arg-type]
    it.start([])
    time.sleep(0.2)
    lines = Path(f"/proc/{it.pid}/smaps_rollup").read_text().splitlines()
    size = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    it.stop()
    assert size["Private_Dirty"] < 200
