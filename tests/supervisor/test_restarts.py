"""The restart rules, with real processes."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.supervisor.harness import Box, alive, eventually


def test_a_killed_bot_comes_back_after_the_delay(box: Box) -> None:
    box.start()
    first = box.until("running")
    os.kill(first["bot_pid"], signal.SIGKILL)
    second = box.until("running", total=1)
    assert second["bot_pid"] != first["bot_pid"]
    assert not alive(first["bot_pid"])
    assert second["restarts"]["in_a_row"] == 1
    assert second["last_exit"]["signal"] == "SIGKILL"
    assert second["last_exit"]["code"] is None
    assert second["last_exit"]["killed"] is False
    assert second["bot_started_at"] - second["last_exit"]["at"] >= 0.15


def test_the_budget_is_spent_and_the_cause_is_kept(box: Box) -> None:
    box.bot('[say(f"line {n}", sys.stderr) for n in range(30)]; say("x" * 600, sys.stderr); sys.exit(3)')
    box.set(max_restarts=2, restart_delay=0.05)
    life = box.start()
    state = box.until("failed")
    assert box.daemon_log.count("started the bot") == 3
    assert state["restarts"]["in_a_row"] == 2
    assert state["why"] == "exit code 3 (given up after 2 restarts in a row)"
    assert state["last_exit"]["code"] == 3
    assert state["last_exit"]["stderr_tail"] == [*(f"line {n}" for n in range(11, 30)), "x" * 500]
    assert box.verdict.startswith("bad ")
    assert "exit code 3" in box.verdict
    assert life.process.poll() is None, "it stays, idle"
    exits = json.loads((box.root / "state" / "exits.json").read_text())["exits"]
    assert [kept["why"] for kept in exits] == ["exit code 3"] * 3
    assert exits[-1]["at"] == state["last_exit"]["at"]
    assert all(kept["began"] < kept["at"] for kept in exits)


@pytest.mark.parametrize("is_state_kept", [True, False], ids=["by the engine", "by a user"])
def test_a_bot_that_was_killed_with_its_supervisor_has_an_exit(box: Box, *, is_state_kept: bool) -> None:
    life = box.start()
    first = box.until("running")
    life.signal(signal.SIGKILL)
    life.wait()
    box.kill(first["bot_pid"])
    eventually(lambda: not alive(first["bot_pid"]))
    if not is_state_kept:
        (box.root / "state" / "supervisor.json").unlink()
    box.start()
    second = box.of_a_bot_that_runs(
        lambda state: state["state"] == "running" and state["bot_pid"] != first["bot_pid"]
    )
    kept = json.loads((box.root / "state" / "exits.json").read_text())
    assert [entry["began"] for entry in kept["exits"]] == [first["bot_started_at"]]
    assert first["bot_started_at"] <= kept["exits"][0]["at"] < kept["running_since"]
    assert kept["running_since"] == second["bot_started_at"]


@pytest.mark.parametrize("state", ["failed", "completed"])
def test_a_terminal_state_outlives_the_container(box: Box, state: str) -> None:
    box.bot("sys.exit(1)" if state == "failed" else "sys.exit(0)")
    box.set(max_restarts=0)
    life = box.start()
    before = box.until(state)
    assert life.stop() == 0
    assert box.state["state"] == state, "a stop leaves it"
    life = box.start()
    eventually(lambda: box.state["supervisor_started_at"] > before["supervisor_started_at"])
    eventually(lambda: box.verdict.startswith("bad" if state == "failed" else "ok"))
    after = box.state
    assert [after[key] for key in ("state", "why", "last_exit", "restarts")] == [
        before[key] for key in ("state", "why", "last_exit", "restarts")
    ]
    assert box.daemon_log.count("started the bot") == 1
    eventually(lambda: box.state["updated_at"] > after["updated_at"])
    assert life.stop() == 0
    assert box.state["state"] == state


def test_another_container_starts_afresh(box: Box) -> None:
    box.bot("sys.exit(1)")
    box.set(max_restarts=0)
    box.start()
    box.until("failed")
    box.lives[-1].stop()
    path = box.root / "state/supervisor.json"
    path.write_text(json.dumps({**box.state, "container": "f" * 64}))
    box.bot("serve()")
    box.start()
    box.until("running", total=0)


@pytest.mark.parametrize("content", ["", "{", "[]", '"failed"', '{"state": "failed"}', "\x00" * 100])
def test_a_state_file_that_says_nothing_is_history(box: Box, content: str) -> None:
    (box.root / "state/supervisor.json").write_text(content)
    box.start()
    eventually(lambda: box.log("daemon.log"))
    eventually(lambda: "the bot is healthy" in box.daemon_log)
    box.until("running")


def test_a_state_that_is_not_terminal_is_history(box: Box) -> None:
    box.bot("sys.exit(1)")
    box.set(restart_delay=3600)
    life = box.start()
    box.until("restarting", in_a_row=1)
    life.signal(signal.SIGKILL)
    life.wait()
    box.bot("serve()")
    box.start()
    box.until("running", in_a_row=0, total=0)


def test_a_healthy_spell_gives_the_budget_back(box: Box) -> None:
    box.timings["healthy_spell_min"] = 0.5
    box.set(restart_delay=0.05)
    box.start()
    pid = box.until("running")["bot_pid"]
    os.kill(pid, signal.SIGKILL)
    box.until("running", total=1, in_a_row=0)
    assert "the restart count is back at 0" in box.daemon_log


def test_a_healthy_spell_counts_to_the_end_of_the_bot_and_not_to_its_last_probe(box: Box) -> None:
    box.timings["healthy_spell_min"] = 1.0
    box.set(restart_delay=0.05, health_interval=3600)
    box.start()
    os.kill(box.until("running")["bot_pid"], signal.SIGKILL)
    pid = box.until("running", total=1, in_a_row=1)["bot_pid"]
    time.sleep(1.5)
    os.kill(pid, signal.SIGKILL)
    box.until("running", total=2, in_a_row=1)


def test_without_auto_restart_a_crash_is_final(box: Box) -> None:
    box.set(auto_restart=0)
    box.start()
    os.kill(box.until("running")["bot_pid"], signal.SIGSEGV)
    state = box.until("failed")
    assert state["why"] == "SIGSEGV (auto_restart is off)"
    assert state["restarts"]["total"] == 0


def test_exit_0_before_the_duration_is_a_crash_where_the_config_says_so(box: Box) -> None:
    box.bot("sys.exit(0)")
    box.set(completion="duration", duration=3600, max_restarts=1, restart_delay=0.05)
    box.start()
    assert "before its duration of 3600 s" in box.until("failed")["why"]


def test_a_program_that_is_not_there_is_a_crash_with_that_cause(box: Box) -> None:
    box.set(bot_command="/nonexistent/python run.py", max_restarts=1, restart_delay=0.05)
    box.start()
    state = box.until("failed")
    assert (
        state["last_exit"]["why"] == "cannot start the bot: No such file or directory (/nonexistent/python)"
    )
    assert state["last_exit"]["code"] is state["last_exit"]["signal"] is None


def test_env_json_is_read_again_before_each_start(box: Box) -> None:
    secret = "hunter2"
    path = box.root / "secrets/env.json"
    path.write_text('{"KEY": "' + secret)
    box.bot('say(os.environ["KEY"]); serve()')
    box.set(max_restarts=1000, restart_delay=0.1)
    life = box.start()
    why = box.until("restarting")["why"]
    assert "is not JSON" in why
    assert str(path) in why
    path.write_text('{"KEY": "mended"}')
    box.until("running")
    assert life.stdout == b"mended\n"
    assert secret not in box.daemon_log + life.stderr


def test_a_command_that_is_no_text_is_a_crash_with_that_cause(box: Box) -> None:
    box.environ["BOTFLEET_BOT_COMMAND"] = "/nowhere/\udcff"
    box.set(max_restarts=0)
    box.start()
    box.until("failed")
    assert box.verdict.startswith("bad ")
    assert "fault in the supervisor" not in box.daemon_log


def test_a_wrong_setting_is_a_failure_that_names_it(box: Box) -> None:
    box.set(restart_delay="soon")
    life = box.start()
    assert "BOTFLEET_RESTART_DELAY" in box.until("failed")["why"]
    assert "BOTFLEET_RESTART_DELAY" in life.stderr
    assert life.stop() == 0


def test_an_unhealthy_bot_is_restarted_within_the_budget(box: Box) -> None:
    box.bot(
        """
count = iter(range(3))
runs = HERE / "runs"
runs.write_text(runs.read_text() + "r" if runs.exists() else "r")
serve(lambda: GOOD if next(count, None) is not None or len(runs.read_text()) > 2 else b"nonsense")
"""
    )
    box.set(unhealthy_probes=3, max_restarts=2, restart_delay=0.05)
    box.start()
    state = box.until("running", total=2)
    assert state["last_exit"]["why"] == "unhealthy: 3 probes failed (no HTTP answer)"
    assert state["last_exit"]["code"] == 0, "an exit 0 on our SIGTERM is no completion"


def test_a_bot_that_was_never_healthy_is_left_alone_in_its_start_phase(box: Box) -> None:
    box.bot("time.sleep(1000)")
    box.timings.update({"start_phase": 1.0, "first_answer": 0.0})
    box.set(unhealthy_probes=2, max_restarts=0)
    box.start()
    state = box.until("starting")
    eventually(lambda: box.state["health"]["ok"] is False)
    assert box.state["health"]["failures"] == 0
    assert state["health"]["failures"] == 0
    state = box.until("failed")
    assert state["last_exit"]["ran_s"] >= 1.0
    assert state["last_exit"]["why"] == "unhealthy: 2 probes failed (connection refused)"


def test_a_hung_bot_is_unhealthy_and_killed_after_the_stop_timeout(box: Box) -> None:
    box.timings["probe_timeout"] = 0.3
    box.set(unhealthy_probes=2, stop_timeout=0.3, restart_delay=0.05)
    box.start()
    pid = box.until("running")["bot_pid"]
    os.kill(pid, signal.SIGSTOP)
    state = box.until("running", total=1)
    assert state["last_exit"]["why"] == "unhealthy: 2 probes failed (no answer within 0.3 s)"
    assert state["last_exit"]["killed"] is True


def test_failed_probes_are_only_shown_where_they_should_not_restart(box: Box) -> None:
    box.bot('serve(lambda: BAD if (HERE / "bad").exists() else GOOD)')
    box.start()
    box.until("running")
    (box.root / "bad").touch()
    eventually(lambda: box.state["health"]["failures"] > 6)
    state = box.state
    assert state["state"] == "unhealthy"
    assert state["why"] == "503 Service Unavailable"
    assert box.verdict.startswith("bad ")
    (box.root / "bad").unlink()
    assert box.until("running")["health"]["failures"] == 0
    assert box.state["restarts"]["total"] == 0


def test_without_auto_restart_an_unhealthy_bot_is_left_alone(box: Box) -> None:
    box.bot('serve(lambda: BAD if (HERE / "bad").exists() else GOOD)')
    box.set(auto_restart=0, unhealthy_probes=2, health_interval=0.1)
    box.start()
    pid = box.until("running")["bot_pid"]
    (box.root / "bad").touch()
    eventually(lambda: "auto_restart is off, so the bot is left alone" in box.daemon_log)
    (box.root / "bad").unlink()
    assert box.until("running")["bot_pid"] == pid


def test_an_oom_kill_is_told_from_another_sigkill(box: Box) -> None:
    events = box.root / "cgroup/memory.events"
    events.write_text("oom 0\noom_kill 4\n")
    box.bot(f"Path({str(events)!r}).write_text('oom 1\\noom_kill 5\\n'); os.kill(os.getpid(), 9)")
    box.set(max_restarts=0)
    box.start()
    state = box.until("failed")
    assert state["last_exit"]["oom"] is True
    assert state["last_exit"]["why"] == "SIGKILL (out of memory)"


def test_a_bot_that_the_supervisor_killed_did_not_die_of_its_memory(box: Box) -> None:
    """A child of its may have, meanwhile."""
    events = box.root / "cgroup/memory.events"
    events.write_text("oom 0\noom_kill 4\n")
    box.timings["probe_timeout"] = 0.3
    box.set(unhealthy_probes=2, stop_timeout=0.3, max_restarts=0)
    box.start()
    pid = box.until("running")["bot_pid"]
    events.write_text("oom 1\noom_kill 5\n")
    os.kill(pid, signal.SIGSTOP)
    ended = box.until("failed")["last_exit"]
    assert (ended["killed"], ended["oom"]) == (True, False)


def test_a_fault_of_the_supervisor_leaves_no_bot_behind(box: Box) -> None:
    life = box.start(broken=True)
    assert life.wait() == 3
    assert "a planted fault" in life.stderr
    assert "a planted fault" in box.daemon_log
    pid = box.state["bot_pid"]
    eventually(lambda: not alive(pid))
    box.start()
    box.until("running")


def test_old_log_folders_are_removed_at_the_start(box: Box) -> None:
    (box.root / "logs/2001-02-03").mkdir()
    (box.root / "logs/2001-02-03/bot_stdout.log").write_text("old")
    (box.root / "logs/keep").mkdir()
    box.start()
    box.until("running")
    assert not (box.root / "logs/2001-02-03").exists()
    assert (box.root / "logs/keep").exists()
    assert "removed old log folders: 2001-02-03" in box.daemon_log
    assert Path(box.root / "logs").is_dir()


def test_what_a_bot_left_in_a_session_of_its_own_does_not_trade_beside_the_next(box: Box) -> None:
    box.bot(
        "first = not (HERE / 'child').exists()\n"
        "child = os.fork() if first else 0\n"
        "if first and child == 0:\n"
        "    os.setsid()\n"
        "    os.closerange(0, 3)\n"
        "    time.sleep(60)\n"
        "if first:\n"
        "    (HERE / 'child').write_text(str(child))\n"
        "    sys.exit(1)\n"
        "serve()"
    )
    box.start()
    box.until("running", total=1)
    child = int(next(box.root.rglob("child")).read_text())
    eventually(lambda: not alive(child))
    assert f"killing process {child}, which the last bot left behind" in box.daemon_log
