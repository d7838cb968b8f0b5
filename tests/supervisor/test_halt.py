"""A halt mark keeps the bot from being started, and stops one that runs."""

import json

import pytest

from tests.supervisor.harness import Box, alive, eventually

MARK = {"nonce": "n1", "at": 1764529290.0, "by": "halt"}


def halt(box: Box) -> None:
    (box.root / "secrets/new").write_text(json.dumps(MARK))
    (box.root / "secrets/new").rename(box.root / "secrets/halted")


def halted(box: Box) -> None:
    """Wait until the supervisor idles because of the mark."""
    eventually(lambda: box.state["state"] == "stopped" and box.verdict.startswith("ok "))
    assert box.state["reason"] == {"code": "halted", "params": {"by": "halt", "nonce": "n1"}}
    assert box.state["why"] == "halted"
    assert box.state["bot_pid"] is None
    assert box.lives[-1].process.poll() is None, "it stays, idle"


def test_no_bot_is_started_with_a_mark_and_one_is_after_it(box: Box) -> None:
    halt(box)
    life = box.start()
    halted(box)
    assert "started the bot" not in box.daemon_log
    assert life.stop() == 0
    (box.root / "secrets/halted").unlink()
    box.start()
    box.until("running")


def test_a_running_bot_is_stopped_as_on_sigterm(box: Box) -> None:
    box.bot('on_term(lambda: (say("cancelled"), sys.exit(0))); serve()')
    life = box.start()
    pid = box.until("running")["bot_pid"]
    halt(box)
    halted(box)
    assert not alive(pid)
    assert box.state["last_exit"]["code"] == 0
    assert box.state["last_exit"]["killed"] is False
    assert life.stdout == b"cancelled\n"
    assert life.stop() == 0


def test_a_bot_that_waits_for_its_restart_is_not_started(box: Box) -> None:
    box.bot("sys.exit(1)")
    box.set(restart_delay=3600)
    box.start()
    box.until("restarting")
    halt(box)
    halted(box)
    assert box.state["restarts"]["next_at"] is None
    assert box.state["last_exit"]["code"] == 1


def test_a_mark_that_comes_between_the_look_and_the_start(box: Box) -> None:
    box.bot("on_term(lambda: (say('cancelled'), sys.exit(0))); serve()")
    box.set(health_interval=3600)
    box.start(late_mark=True)
    halted(box)
    assert box.daemon_log.count("started the bot") == 1
    assert "the bot has ended" in box.daemon_log


def test_a_mark_that_comes_after_both_looks_is_found_before_the_next_start(box: Box) -> None:
    box.bot('os.rename(HERE / "mark", HERE / "secrets/halted"); (HERE / "began").touch(); serve()')
    (box.root / "mark").write_text(json.dumps(MARK))
    box.set(health_interval=3600, restart_delay=0.05)
    box.start()
    eventually((box.root / "began").exists)
    pid = box.until("running")["bot_pid"]  # the mark came after both looks: the next one is an hour away
    box.kill(pid)
    halted(box)
    assert box.daemon_log.count("started the bot") == 1


@pytest.mark.parametrize("state", ["failed", "completed"])
def test_a_terminal_state_stays(box: Box, state: str) -> None:
    box.bot("sys.exit(1)" if state == "failed" else "sys.exit(0)")
    box.set(max_restarts=0)
    box.start()
    box.until(state)
    halt(box)
    box.lives[-1].stop()
    box.start()
    eventually(lambda: f"still {state}" in box.daemon_log)
    assert box.until(state)


def test_a_stop_while_the_bot_ends_because_of_a_mark(box: Box) -> None:
    box.bot("on_term(lambda: (time.sleep(0.5), sys.exit(0))); serve()")
    life = box.start()
    box.until("running")
    halt(box)
    box.until("stopping")
    assert life.stop() == 0
    assert box.state["state"] == "stopped"
    assert box.state["last_exit"]["code"] == 0
