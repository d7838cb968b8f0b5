"""A live bot that was given up has its orders cancelled until the exchange confirms."""

import json
import signal
import sys
import time
from typing import Any

import pytest

from tests.supervisor.harness import Box, alive, eventually


@pytest.fixture
def live(box: Box) -> Box:
    """A live instance whose bot dies at once."""
    box.bot('(HERE / "bots").open("a").write(str(os.getpid()) + "\\n"); sys.exit(1)')
    box.environ["TRADING_MODE"] = "live"
    box.set(max_restarts=1, restart_delay=0.05, cancel_command=f"{sys.executable} -S -u {box.root}/cancel.py")
    return box


def program(box: Box, code: str) -> None:
    lines = "import json, os, sys, time\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"
    (box.root / "cancel.py").write_text(lines + code + "\n")


def cancel(box: Box, state: str) -> dict[str, Any]:
    """Wait for a state of the cancel program."""
    return eventually(lambda: _in_state(box, state))


def _in_state(box: Box, state: str) -> dict[str, Any] | None:
    progress: dict[str, Any] | None = box.state.get("cancel")
    return progress if progress is not None and progress["state"] == state else None


def test_it_is_tried_until_the_exchange_has_confirmed(live: Box) -> None:
    program(
        live,
        """
(HERE / "seen").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
tries = HERE / "tries"
count = len(tries.read_text()) if tries.exists() else 0
tries.write_text("x" * (count + 1))
if count == 0:
    print("exchange away", file=sys.stderr)
    sys.exit(4)
print(json.dumps({"open_orders_left": 2 - count}))
""",
    )
    (live.root / "secrets/env.json").write_text('{"BACKPACK_KEY": "k"}')
    live.start("--symbol", "SOL")
    progress = cancel(live, "confirmed")
    assert (progress["tries"], progress["open_orders_left"], progress["next_at"], progress["reason"]) == (
        3,
        0,
        None,
        None,
    )
    state = live.state
    assert state["state"] == "failed"
    assert state["why"] == "exit code 1 (given up after 1 restart in a row)"
    arguments, environ = json.loads((live.root / "seen").read_text())
    assert arguments == ["--symbol", "SOL"]
    assert (environ["BACKPACK_KEY"], environ["TRADING_MODE"]) == ("k", "live")
    assert "BOTFLEET_REPORT" not in environ
    log = live.daemon_log
    assert "the orders are not cancelled yet: exit code 4; next try in" in log
    assert "the orders are not cancelled yet: 1 order is left; next try in" in log
    assert "the exchange has confirmed that no order is left" in log
    assert b"exchange away\n" in live.log("bot_stderr.log")
    time.sleep(0.3)
    assert live.state["cancel"]["tries"] == 3, "confirmed is the end of it"


def test_what_the_exchange_has_confirmed_counts_and_no_more_what_the_bot_said(live: Box) -> None:
    live.bot("report(contract=2, final=True, open_orders_left=3); sys.exit(1)")
    program(live, 'print(json.dumps({"open_orders_left": int(not (HERE / "go").exists())}))')
    live.start()
    cancel(live, "failing")
    assert live.report["open_orders_left"] == 3
    (live.root / "go").touch()
    cancel(live, "confirmed")
    assert live.report["open_orders_left"] == 0
    assert live.report["report"]["final"] is True


def test_no_process_of_the_bot_lives_while_it_runs(live: Box) -> None:
    live.bot(
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True, close_fds=False, stdout=-3,"
        " stderr=-3)\n"
        "(HERE / 'child').write_text(str(child.pid))\n"
        "sys.exit(1)"
    )
    live.set(max_restarts=0)
    program(
        live,
        """
state = Path("/proc", (HERE / "child").read_text(), "stat")
lives = state.exists() and state.read_text().rpartition(")")[2].split()[0] not in "ZX"
print(json.dumps({"open_orders_left": int(lives)}))
""",
    )
    live.start()
    assert cancel(live, "confirmed")["tries"] == 1


def test_it_says_how_far_it_is(live: Box) -> None:
    live.timings["cancel_retry"] = live.timings["cancel_retry_max"] = 3600
    program(live, 'print("no such key", file=sys.stderr); sys.exit(1)')
    life = live.start()
    progress = cancel(live, "failing")
    assert progress["reason"] == {"code": "exit_code", "params": {"code": 1}}
    assert progress["why"] == "exit code 1"
    assert progress["stderr_tail"] == ["no such key"]
    assert progress["open_orders_left"] is None
    assert progress["next_at"] > time.time() + 3000
    assert life.stop() == 0
    assert live.state["state"] == "failed"


def test_a_program_that_is_not_there_is_said(live: Box) -> None:
    live.set(cancel_command="/nonexistent/cancel")
    live.start()
    progress = cancel(live, "failing")
    assert (
        progress["why"] == "cannot start the cancel program: No such file or directory (/nonexistent/cancel)"
    )


def test_it_is_killed_when_it_hangs(live: Box) -> None:
    live.timings["cancel_timeout"] = 0.3
    program(live, "time.sleep(60)")
    live.start()
    assert cancel(live, "failing")["reason"] == {"code": "no_answer", "params": {"seconds": 0.3}}


def test_a_stop_lets_it_finish(live: Box) -> None:
    program(live, '(HERE / "began").touch(); time.sleep(1); print(json.dumps({"open_orders_left": 0}))')
    life = live.start()
    eventually((live.root / "began").exists)
    assert live.state["cancel"]["state"] == "running"
    assert life.stop() == 0
    assert live.state["state"] == "failed"
    assert live.state["cancel"]["state"] == "confirmed"


def test_a_stop_waits_no_longer_than_for_a_bot(live: Box) -> None:
    program(live, '(HERE / "began").write_text(str(os.getpid())); time.sleep(60)')
    live.set(stop_timeout=0.3)
    life = live.start()
    eventually(lambda: (live.root / "began").exists() and (live.root / "began").read_text())
    assert life.stop() == 0
    assert not alive(int((live.root / "began").read_text()))


def killed_while_failing(live: Box) -> None:
    """Live until the cancel program has failed, and be killed."""
    program(live, "sys.exit(1)")
    life = live.start()
    cancel(live, "failing")
    life.signal(signal.SIGKILL)
    life.wait()


def test_the_next_life_of_the_container_goes_on_with_it(live: Box) -> None:
    live.timings["cancel_retry"] = live.timings["cancel_retry_max"] = 3600
    killed_while_failing(live)
    program(live, 'print(json.dumps({"open_orders_left": 0}))')
    life = live.start()
    assert cancel(live, "confirmed")["tries"] == 2
    assert life.stop() == 0
    life = live.start()
    eventually(lambda: live.daemon_log.count("still failed") == 2)
    assert live.daemon_log.count("cancelling the orders") == 2, "what is confirmed is not asked again"
    assert live.daemon_log.count("started the bot") == 2


def test_no_number_of_the_state_file_keeps_orders_from_being_cancelled(live: Box) -> None:
    live.timings["cancel_retry"] = live.timings["cancel_retry_max"] = 0.1
    killed_while_failing(live)
    left = {**live.state, "cancel": {"state": "failing", "tries": -(10**400)}}
    (live.root / "state/supervisor.json").write_text(json.dumps(left))
    live.start()
    eventually(lambda: live.state["cancel"]["tries"] == 2)
    program(live, 'print(json.dumps({"open_orders_left": 0}))')
    cancel(live, "confirmed")
    assert "fault in the supervisor" not in live.daemon_log


def test_what_was_moved_away_cancels_nothing_from_here(live: Box) -> None:
    live.timings["cancel_retry"] = live.timings["cancel_retry_max"] = 3600
    program(live, "sys.exit(1)")
    life = live.start()
    cancel(live, "failing")
    assert life.stop() == 0
    (live.root / "secrets/moved").write_text("{}")
    program(live, '(HERE / "began").touch(); print(json.dumps({"open_orders_left": 0}))')
    life = live.start()
    eventually(lambda: "this instance was moved to another machine" in live.daemon_log)
    assert life.stop() == 0
    assert not (live.root / "began").exists()
    (live.root / "secrets/moved").unlink()
    live.start()
    cancel(live, "confirmed")


@pytest.mark.parametrize(
    "changes", [{"TRADING_MODE": "paper"}, {"BOTFLEET_CANCEL_COMMAND": ""}, {"TRADING_MODE": ""}]
)
def test_it_is_for_live_bots_of_images_that_have_one(live: Box, changes: dict[str, str]) -> None:
    program(live, '(HERE / "began").touch()')
    live.environ.update(changes)
    live.start()
    assert live.until("failed")["cancel"] is None
    time.sleep(0.2)
    assert not (live.root / "began").exists()
