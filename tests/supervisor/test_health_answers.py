"""The three answers of /health, and what each of them costs."""

import json
import os
import signal
import time

import pytest

from tests.supervisor.harness import Box, eventually

AWAY = {"code": "exchange_away", "params": {"cause": "maintenance"}}
FROM_FILE = """
def reply():
    try:
        return answer(*json.loads((HERE / "answer").read_text()))
    except FileNotFoundError:
        return GOOD
serve(reply)
"""
FROM_FILE_ONCE = FROM_FILE.replace("return answer", '(HERE / "refused").touch(); return answer')
"""It leaves a file when it has answered as it was told to."""


def set_answer(box: Box, status: str, body: object) -> None:
    (box.root / "new").write_text(json.dumps([status, body if isinstance(body, str) else json.dumps(body)]))
    (box.root / "new").rename(box.root / "answer")


def test_a_degraded_bot_is_left_alone_and_its_condition_recorded(box: Box) -> None:
    box.bot(FROM_FILE)
    box.set(unhealthy_probes=1, max_restarts=0)
    box.start()
    pid = box.until("running")["bot_pid"]
    assert box.state["health"]["condition"] is None
    set_answer(box, "200 OK", {"status": "degraded", "condition": AWAY})
    eventually(lambda: box.state["health"]["condition"])
    state = box.state
    condition = dict(state["health"]["condition"])
    since = condition.pop("since")
    assert since == pytest.approx(time.time(), abs=30)
    assert condition == AWAY
    assert (state["state"], state["why"], state["health"]["ok"]) == (
        "running",
        "degraded: exchange_away",
        True,
    )
    assert state["reason"] == {"code": "degraded", "params": {"condition": "exchange_away"}}
    assert box.verdict.startswith("ok ")
    checked = state["health"]["checked_at"]
    eventually(lambda: box.state["health"]["checked_at"] > checked + 0.3)
    assert box.state["health"]["condition"] == {**AWAY, "since": since}
    (box.root / "answer").unlink()
    eventually(lambda: box.state["why"] is None)
    assert box.state["health"]["condition"] is None
    assert (box.state["bot_pid"], box.state["restarts"]["total"]) == (pid, 0)
    assert "the bot is degraded: exchange_away" in box.daemon_log


def test_a_bot_that_says_that_it_is_starting_is_waited_for(box: Box) -> None:
    box.bot(FROM_FILE)
    box.timings["start_phase"] = 0.3
    box.set(unhealthy_probes=1, max_restarts=0, health_interval=0.1)
    set_answer(box, "503 Service Unavailable", {"status": "starting", "reason": "starting"})
    box.start()
    state = box.of_a_bot_that_runs(  # said once it takes longer than a start does
        lambda state: state["why"] == "503 starting" and state["updated_at"] > state["bot_started_at"] + 1.5
    )
    assert (state["state"], state["health"]["ok"], state["restarts"]["total"]) == ("starting", False, 0)
    (box.root / "answer").unlink()
    assert box.until("running")["restarts"]["total"] == 0


def test_a_bot_that_loads_before_it_listens_spends_no_restart(box: Box) -> None:
    box.bot("time.sleep(2)\nserve(lambda: GOOD)")
    box.timings.update(start_phase=0.2, first_answer=20.0)
    box.set(unhealthy_probes=1, max_restarts=0, health_interval=0.1)
    box.start()
    state = box.until("unhealthy")
    assert (state["why"], state["health"]["failures"]) == ("connection refused", 0), "it is not kept silent"
    assert box.until("running")["restarts"]["total"] == 0


def test_a_bot_that_never_listens_is_given_up(box: Box) -> None:
    box.bot("time.sleep(1000)")
    box.timings.update(start_phase=0.1, first_answer=0.5)
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05, health_interval=0.1)
    box.start()
    assert box.until("failed")["last_exit"]["why"] == "unhealthy: 2 probes failed (connection refused)"
    assert box.state["last_exit"]["ran_s"] >= 0.5


def test_a_stop_during_a_start_begins_no_outage(box: Box) -> None:
    box.bot(FROM_FILE)
    box.start()
    box.until("running")
    assert box.lives[-1].stop() == 0
    set_answer(box, "503 Service Unavailable", {"status": "starting", "reason": "starting"})
    box.start()
    eventually(lambda: box.state["health"]["starting"])
    assert box.lives[-1].stop() == 0
    box.bot("sys.exit(1)")
    box.set(max_restarts=1, restart_delay=0.05)
    box.start()
    assert box.until("failed")["restarts"]["in_a_row"] == 1
    assert "the outage goes on" not in box.daemon_log


def test_a_bot_that_is_starting_for_ever_is_restarted(box: Box) -> None:
    box.bot(FROM_FILE)
    box.timings.update(start_phase=0.1, start_limit=0.5)
    box.set(unhealthy_probes=2, restart_delay=0.05, health_interval=0.1)
    set_answer(box, "503 Service Unavailable", {"status": "starting", "reason": "starting"})
    box.start()
    why = "unhealthy: 2 probes failed (503 starting)"  # one that does not listen yet is refused
    eventually(lambda: (box.state.get("last_exit") or {}).get("why") == why)
    eventually(lambda: box.state.get("restarts", {}).get("total", 0) >= 1)


def test_a_bot_that_answers_503_is_restarted_without_end_and_ever_more_slowly(box: Box) -> None:
    box.bot(FROM_FILE)
    box.timings["start_phase"] = 0.8
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    set_answer(box, "503 Service Unavailable", {"reason": "exchange away"})
    box.start()
    eventually(lambda: box.state.get("restarts", {}).get("total", 0) >= 4)
    state = box.state
    assert state["state"] != "failed"
    assert state["restarts"]["in_a_row"] == 0
    assert state["restarts"]["since_healthy"] == state["restarts"]["total"]
    assert state["last_exit"]["why"] == "unhealthy: 2 probes failed (503 exchange away)"
    assert state["last_exit"]["reason"]["params"]["cause"] == {
        "code": "http_status",
        "params": {"status": 503, "detail": "exchange away"},
    }
    pauses = [
        float(line.split("restart in ")[1].split(" s")[0])
        for line in box.daemon_log.splitlines()
        if "restart in " in line
    ]
    assert pauses[:3] == sorted(pauses[:3])
    assert pauses[3] >= 0.4
    (box.root / "answer").unlink()
    box.until("running")


def test_a_bot_that_cannot_start_while_its_exchange_is_away_trades_afterwards(box: Box) -> None:
    box.bot(
        """
if (HERE / "answer").exists() and (HERE / "began").exists():
    sys.exit(1)
(HERE / "began").touch()
"""
        + FROM_FILE
    )
    box.timings["start_phase"] = 0.8
    box.timings["restart_delay_max"] = 0.1
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    eventually(lambda: box.daemon_log.count("exit code 1") >= 4)
    (box.root / "answer").unlink()
    box.until("running", in_a_row=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_outage_goes_on_through_a_restart_of_the_container(box: Box, number: int) -> None:
    box.bot(
        """
if (HERE / "answer").exists() and (HERE / "began").exists():
    sys.exit(1)
(HERE / "began").touch()
"""
        + FROM_FILE
    )
    box.timings.update({"start_phase": 0.8, "restart_delay_max": 0.1})
    box.set(unhealthy_probes=2, max_restarts=0, restart_delay=0.05)
    running = box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    for _life in range(2):
        eventually(lambda: box.state["restarts"]["since_healthy"] >= 1)
        before = box.state["restarts"]["since_healthy"]
        running.signal(number)
        running.wait()
        running = box.start()
        eventually(lambda: box.state["restarts"]["since_healthy"] > before)  # noqa: B023
        assert box.state["state"] != "failed"
    (box.root / "answer").unlink()
    box.until("running", in_a_row=0)


def test_a_bot_that_hangs_after_it_said_that_it_cannot_work_is_restarted_all_the_same(box: Box) -> None:
    box.bot(
        """
if (HERE / "answer").exists() and (HERE / "refused").exists():
    time.sleep(60)
"""
        + FROM_FILE_ONCE
    )
    box.timings.update({"start_phase": 0.8, "first_answer": 0.0, "restart_delay_max": 0.1})
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    eventually(lambda: box.daemon_log.count("(connection refused)") >= 5)
    assert box.state["restarts"]["in_a_row"] == 0
    (box.root / "answer").unlink()
    box.until("running")


def test_a_bot_that_was_never_healthy_and_only_crashes_after_a_503_is_given_up(box: Box) -> None:
    box.bot(
        """
if (HERE / "refused").exists():
    sys.exit(1)
serve(lambda: (HERE / "refused").touch() or answer("503 Service Unavailable", ""))
"""
    )
    box.timings.update({"start_phase": 0.3, "restart_delay_max": 0.1})
    box.set(unhealthy_probes=2, max_restarts=2, restart_delay=0.05)
    box.start()
    state = box.until("failed")
    assert state["why"] == "exit code 1 (given up after 2 restarts in a row)"
    assert state["restarts"]["total"] == 3, "the restart after the 503 was free"


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os.abort()"])
def test_no_outage_kills_a_bot(box: Box, end: str) -> None:
    box.bot(f'if (HERE / "answer").exists() and (HERE / "refused").exists():\n    {end}\n' + FROM_FILE_ONCE)
    box.timings.update({"start_phase": 0.8, "restart_delay_max": 0.1})
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    assert "given up after 1 restart in a row" in box.until("failed")["why"]


def test_an_outage_does_not_last_for_ever(box: Box) -> None:
    """A bot that does not answer any more cannot run, also where it was healthy before it said 503."""
    box.bot(
        'if (HERE / "answer").exists() and (HERE / "refused").exists():\n    sys.exit(1)\n' + FROM_FILE_ONCE
    )
    box.timings.update({"start_phase": 0.8, "restart_delay_max": 0.1, "outage_restarts": 4})
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    state = box.until("failed")
    assert state["restarts"]["total"] == 6, "one after the 503, four free ones, and one of the budget"


def test_a_bot_that_answers_again_in_an_outage_goes_on_for_as_long_as_it_takes(box: Box) -> None:
    box.bot(
        """
count = len(list(HERE.glob("start*")))
(HERE / f"start{count}").touch()
if (HERE / "answer").exists() and (HERE / "refused").exists() and count % 3:
    sys.exit(1)
"""
        + FROM_FILE_ONCE
    )
    box.timings.update({"start_phase": 1.5, "restart_delay_max": 0.1, "outage_restarts": 2})
    box.set(unhealthy_probes=1, max_restarts=0, restart_delay=0.05)
    box.start()
    box.until("running")
    set_answer(box, "503 Service Unavailable", "")
    eventually(lambda: box.state["restarts"]["total"] >= 6, 60)
    assert box.state["restarts"]["in_a_row"] == 0
    (box.root / "answer").unlink()
    box.until("running")


def test_a_bot_that_hangs_spends_the_budget(box: Box) -> None:
    box.bot("serve(lambda: GOOD if not (HERE / 'hang').exists() else time.sleep(60))")
    box.timings["probe_timeout"] = 0.2
    box.timings.update({"start_phase": 2.0, "first_answer": 0.0})
    box.set(unhealthy_probes=2, max_restarts=1, restart_delay=0.05)
    box.start()
    box.until("running")
    (box.root / "hang").touch()
    state = box.until("failed")
    assert (
        state["why"]
        == "unhealthy: 2 probes failed (no answer within 0.2 s) (given up after 1 restart in a row)"
    )


def test_next_at_is_when_the_bot_is_started(box: Box) -> None:
    box.set(restart_delay=0.5)
    box.start()
    first = box.until("running")
    os.kill(first["bot_pid"], signal.SIGKILL)
    announced = box.until("restarting")["restarts"]["next_at"]
    second = box.until("running", total=1)
    assert -0.1 <= second["bot_started_at"] - announced < 30, "late on a busy machine, never early"
    assert second["restarts"]["next_at"] is None


def test_the_growth_starts_anew_after_a_healthy_spell(box: Box) -> None:
    box.timings["healthy_spell_min"] = 0.4
    box.set(restart_delay=0.05)
    box.start()
    for total in (1, 2, 3):
        os.kill(box.until("running", total=total - 1)["bot_pid"], signal.SIGKILL)
        box.until("running", total=total, since_healthy=0)
    pauses = [line.rsplit(" in ", 1)[1] for line in box.daemon_log.splitlines() if "restart 1 of 3" in line]
    assert pauses == ["0.1 s"] * 3


def test_another_path_is_probed_where_a_program_has_no_health(box: Box) -> None:
    """A Datasette answers 404 on /health."""
    box.bot("""
def reply(request):
    return GOOD if request.startswith(b"GET /-/versions.json ") else answer("404 Not Found", "{}")
with socket.create_server(("127.0.0.1", int(os.environ["WEB_PORT"]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(reply(connection.recv(4096)))
""")
    box.set(health_path="/-/versions.json")
    box.start()
    box.until("running")


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
@pytest.mark.parametrize(
    "body", ['{"status": "degraded', "{degraded", '{"status" "starting"}', '{"\\q": "degraded"}']
)
def test_an_answer_that_is_no_json_is_no_fault_of_the_supervisor(box: Box, status: str, body: str) -> None:
    box.bot(FROM_FILE)
    box.start()
    pid = box.until("running")["bot_pid"]
    set_answer(box, status, body)
    checked = box.state["health"]["checked_at"]
    eventually(lambda: box.state["health"]["checked_at"] > checked + 0.3)
    assert box.state["bot_pid"] == pid
    assert box.state["state"] == ("running" if status == "200 OK" else "unhealthy")
