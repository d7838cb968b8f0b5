"""Never two bots on one state folder."""

import os
import signal
import subprocess
from pathlib import Path

from tests.supervisor.harness import Box, alive, eventually


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Names, sizes and inodes; the first supervisor's own refreshes are kept out by its long interval."""
    return {str(path): (path.stat().st_ino, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_a_second_supervisor_starts_nothing_writes_nothing_and_says_why(box: Box) -> None:
    box.set(health_interval=3600)
    box.start()
    box.until("running")
    before = tree(box.root / "state"), tree(box.root / "logs")
    (box.root / "run2").mkdir()
    second = box.start(run="run2")
    verdict = box.root / "run2/verdict"
    eventually(verdict.exists)
    assert verdict.read_text().startswith("bad ")
    assert "locked: " in verdict.read_text()
    assert "supervisor.lock is held by another supervisor, of container" in second.stderr
    assert "started the bot" not in second.stderr
    assert second.stop() == 0
    assert (tree(box.root / "state"), tree(box.root / "logs")) == before
    assert box.state["state"] == "running"


def test_a_lock_that_is_let_go_in_time_is_taken(box: Box) -> None:
    box.timings["lock_grace"] = 20
    first = box.start()
    old = box.until("running")["bot_pid"]
    second = box.start()
    first.stop()
    eventually(lambda: box.state["bot_pid"] not in (None, old))
    box.until("running")
    assert second.process.poll() is None


def test_in_a_swarm_it_waits_for_a_predecessor_that_stops_slowly(box: Box) -> None:
    box.timings["lock_retry"] = 0.2
    box.set(lock_wait=1)
    first = box.start()
    old = box.until("running")["bot_pid"]
    second = box.start()
    eventually(lambda: "is held by another supervisor" in second.stderr)
    first.stop()
    eventually(lambda: box.state["bot_pid"] not in (None, old))
    box.until("running")
    assert second.stderr.count("is held by another supervisor") == 1


def test_a_bot_that_outlives_its_supervisor_keeps_the_lock(box: Box) -> None:
    life = box.start()
    pid = box.until("running")["bot_pid"]
    life.signal(signal.SIGKILL)
    life.wait()
    assert alive(pid)
    second = box.start()
    eventually(lambda: "no second bot is started here" in second.stderr)
    second.stop()
    os.killpg(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    box.start()
    eventually(lambda: box.state["bot_pid"] not in (None, pid))


def test_nobody_but_the_bot_keeps_the_lock(box: Box) -> None:
    box.bot('subprocess.Popen(["sleep", "3"], start_new_session=True, stdout=-3, stderr=-3); serve()')
    life = box.start()
    box.until("running")
    assert life.stop() == 0
    box.start()
    box.until("running")


def test_a_lock_file_that_cannot_be_made_is_tried_again(box: Box) -> None:
    (box.root / "state").rename(box.root / "elsewhere")
    life = box.start()
    eventually(lambda: box.verdict)
    assert "supervisor.lock: No such file or directory" in box.verdict
    assert life.stderr.count("cannot lock") == 1
    (box.root / "elsewhere").rename(box.root / "state")
    box.until("running")


def test_starting_ten_at_once_gives_one_bot(box: Box) -> None:
    for number in range(10):
        (box.root / f"run{number}").mkdir()
        box.start(run=f"run{number}")
    box.until("running")
    eventually(lambda: sum("no second bot" in life.stderr for life in box.lives) == 9)
    assert sum("started the bot" in life.stderr for life in box.lives) == 1
    listing = subprocess.run(
        ["pgrep", "-fc", f"{box.root}/bot.py"], capture_output=True, text=True, check=False
    )
    assert listing.stdout.strip() == "1"
