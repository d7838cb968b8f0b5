"""The anchor's pid stays true through restarts of the bot, and ends when the instance is given up."""

import os
import signal

from tests.supervisor.harness import Box, alive, eventually


def test_it_lives_through_restarts_and_ends_with_the_stop(box: Box) -> None:
    box.set(restart_delay=0.05)
    life = box.start()
    first = box.until("running")
    pid = first["anchor_pid"]
    assert alive(pid)
    os.kill(first["bot_pid"], signal.SIGKILL)
    assert box.until("running", total=1)["anchor_pid"] == pid
    assert life.stop() == 0
    assert not alive(pid)
    assert box.state["anchor_pid"] is None


def test_it_ends_when_the_bot_is_given_up(box: Box) -> None:
    box.bot("sys.exit(1)")
    box.set(max_restarts=1, restart_delay=0.3)
    box.start()
    pid = box.until("restarting")["anchor_pid"]
    assert alive(pid)
    assert box.until("failed")["anchor_pid"] is None
    assert not alive(pid)


def test_one_that_a_bot_killed_is_started_again(box: Box) -> None:
    box.start()
    pid = box.until("running")["anchor_pid"]
    box.kill(pid)
    eventually(lambda: box.state["anchor_pid"] not in (None, pid))
    assert alive(box.state["anchor_pid"])
    assert box.state["restarts"]["total"] == 0


def test_it_ends_with_a_supervisor_that_was_killed_and_holds_no_lock(box: Box) -> None:
    life = box.start()
    state = box.until("running")
    box.kill(state["bot_pid"])
    life.signal(signal.SIGKILL)
    life.wait()
    eventually(lambda: not alive(state["anchor_pid"]))
    box.start()
    box.until("running")
