"""A bot is started with what it is owed, probed, and stopped once."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.supervisor.harness import Box, alive, eventually


def test_a_healthy_bot_is_running_and_says_so_everywhere(box: Box) -> None:
    box.bot('say("trading"); say("careful", sys.stderr); serve()')
    life = box.start()
    state = box.until("running")
    assert state["schema"] == 1
    assert state["instance"] == "bp_sol_01"
    assert state["health"]["ok"] is True
    assert state["health"]["detail"] == "200"
    assert state["why"] is None
    assert state["last_exit"] is None
    assert state["restarts"] == {
        "in_a_row": 0,
        "total": 0,
        "max": 3,
        "since_healthy": 0,
        "next_at": None,
        "next_is_free": False,
        "unanswered": 0,
    }
    assert alive(state["bot_pid"])
    assert state["bot_started_at"] == pytest.approx(time.time(), abs=60)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert state["updated_uptime"] == pytest.approx(uptime, abs=60)
    word, until = box.verdict.split()
    assert word == "ok"
    assert uptime < float(until) < uptime + 60
    assert life.stdout == box.log("bot_stdout.log") == b"trading\n"
    assert box.log("bot_stderr.log") == b"careful\n"
    assert "careful\n" in life.stderr
    assert "[supervisor] the bot is healthy" in life.stderr
    assert "the bot is healthy" in box.daemon_log


def test_the_state_goes_on_being_fresh(box: Box) -> None:
    box.start()
    first = box.until("running")["updated_uptime"]
    eventually(lambda: box.state["updated_uptime"] > first + 0.5)


def test_the_bot_gets_its_arguments_and_environment(box: Box) -> None:
    box.bot('(HERE / "seen").write_text(json.dumps([sys.argv[1:], dict(os.environ)])); serve()')
    box.environ.update({"TRADING_MODE": "paper", "SHARED": "container", "BOTFLEET_ANYTHING": "x"})
    (box.root / "secrets/env.json").write_text(
        json.dumps({"BACKPACK_KEY": "k", "SHARED": "file", "TZ": "Asia/Taipei", "BOTFLEET_X": "y"})
    )
    (box.root / "run/report.json").write_text("{}")
    box.start("--exchange", "backpack", "--note", "two words")
    box.until("running")
    arguments, environ = json.loads((box.root / "seen").read_text())
    assert arguments == ["--exchange", "backpack", "--note", "two words"]
    own = {name: value for name, value in environ.items() if name.startswith("BOTFLEET_")}
    assert own == {
        "BOTFLEET_INSTANCE": "bp_sol_01",
        "BOTFLEET_REPORT": str(box.root / "run/report.json"),
        "BOTFLEET_REQUESTS": str(box.root / "secrets/requests.json"),
        "BOTFLEET_OTHERS": str(box.root / "secrets/others.json"),
    }
    assert environ["BACKPACK_KEY"] == "k"
    assert environ["SHARED"] == "file"
    assert environ["TZ"] == "Asia/Taipei"
    assert environ["WEB_PORT"] == str(box.port)
    assert not (box.root / "run/report.json").exists(), "the report of an earlier run"
    assert "k" not in box.daemon_log.split()


def test_the_bot_inherits_its_pipes_the_lock_and_nothing_else(box: Box) -> None:
    box.bot(
        """
(HERE / "fds").write_text(json.dumps([os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                                      if os.path.exists(f"/proc/self/fd/{fd}")]))
mask = os.umask(0)
(HERE / "rest").write_text(json.dumps([os.getsid(0) == os.getpid(), mask,
                                       signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN]))
serve()
"""
    )
    box.start()
    box.until("running")
    descriptors = json.loads((box.root / "fds").read_text())
    assert sorted(name.split(":")[0] for name in descriptors if name.startswith("pipe")) == ["pipe", "pipe"]
    others = sorted(name for name in descriptors if not name.startswith("pipe") and "/fd" not in name)
    assert others == ["/dev/null", str(box.root / "state/supervisor.lock")]
    own_session, mask, _ = json.loads((box.root / "rest").read_text())
    assert own_session
    assert mask == 0o027


def test_files_are_for_owner_and_group_only(box: Box) -> None:
    box.start()
    box.until("running")
    for path in [*box.root.glob("logs/*"), *box.root.glob("logs/*/*"), *box.root.glob("state/*")]:
        assert path.stat().st_mode & 0o027 == 0, path


def test_sigterm_reaches_the_bot_once_however_often_it_comes(box: Box) -> None:
    box.bot(
        """
def term():
    with open(HERE / "terms", "a") as file:
        file.write("T")
on_term(term)
import threading
def leave():
    while not (HERE / "go").exists():
        time.sleep(0.01)
    say("cancelled 13 orders")
    os._exit(0)
threading.Thread(target=leave).start()
while True:
    try:
        serve()
    except OSError:
        pass
"""
    )
    life = box.start()
    box.until("running")
    life.signal(signal.SIGTERM)
    box.until("stopping")
    eventually((box.root / "terms").exists)
    for _ in range(3):
        life.signal(signal.SIGTERM)
        life.signal(signal.SIGINT)
        time.sleep(0.05)
    (box.root / "go").touch()
    assert life.wait() == 0
    assert (box.root / "terms").read_text() == "T"
    assert box.state["state"] == "stopped"
    assert box.state["bot_pid"] is None
    assert box.state["last_exit"]["code"] == 0
    assert box.state["last_exit"]["killed"] is False
    assert box.log("bot_stdout.log").endswith(b"cancelled 13 orders\n")
    assert life.stdout.endswith(b"cancelled 13 orders\n")


def test_a_bot_that_ignores_sigterm_is_killed_with_its_group(box: Box) -> None:
    box.bot(
        """
on_term(lambda: None)
child = subprocess.Popen(["sleep", "1000"])
(HERE / "child").write_text(str(child.pid))
serve()
"""
    )
    box.set(stop_timeout=0.3)
    life = box.start()
    pid = box.until("running")["bot_pid"]
    assert life.stop() == 1
    state = box.state
    assert state["state"] == "stopped"
    assert state["last_exit"]["killed"] is True
    assert state["last_exit"]["signal"] == "SIGKILL"
    assert state["last_exit"]["oom"] is False
    assert not alive(pid)
    eventually(lambda: not alive(int((box.root / "child").read_text())))
    assert "killing it" in box.daemon_log


def test_a_bot_that_exceeds_its_memory_while_it_stops_did_not_stop_well(box: Box) -> None:
    events = box.root / "cgroup/memory.events"
    events.write_text("oom 0\noom_kill 4\n")
    text = "oom 1\noom_kill 5\n"
    box.bot(
        f"on_term(lambda: (Path({str(events)!r}).write_text({text!r}), os.kill(os.getpid(), 9)))\nserve()\n"
    )
    life = box.start()
    box.until("running")
    assert life.stop() == 1
    assert (box.state["state"], box.state["why"]) == ("stopped", "SIGKILL (out of memory)")
    assert (box.state["last_exit"]["killed"], box.state["last_exit"]["oom"]) == (False, True)


def test_children_that_a_bot_leaves_behind_are_killed(box: Box) -> None:
    box.bot(
        'child = subprocess.Popen(["sleep", "1000"]); (HERE / "child").write_text(str(child.pid));'
        " sys.exit(0)"
    )
    box.start()
    box.until("completed")
    eventually(lambda: not alive(int((box.root / "child").read_text())))


def test_a_stop_while_waiting_for_a_restart_starts_nothing(box: Box) -> None:
    box.bot("sys.exit(1)")
    box.set(restart_delay=3600)
    life = box.start()
    state = box.until("restarting")
    assert 3540 <= state["restarts"]["next_at"] - time.time() <= 5400
    assert state["bot_pid"] is None
    assert life.stop() == 0
    assert box.state["state"] == "stopped"
    assert box.daemon_log.count("started the bot") == 1


def test_an_idle_supervisor_uses_next_to_no_cpu(box: Box) -> None:
    box.set(health_interval=30)
    life = box.start()
    box.until("running")

    def used() -> int:
        fields = Path(f"/proc/{life.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # hundredths of a second

    before = used()
    time.sleep(0.5)
    assert used() - before <= 2


def test_resident_memory_stays_small(box: Box) -> None:
    life = box.start()
    box.until("running")
    size = int(Path(f"/proc/{life.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert size < 16e6, "aim: 12 MB with the image's python and compiled modules; other builds are larger"


def test_time_zone_of_env_json_dates_the_supervisors_lines(box: Box) -> None:
    (box.root / "secrets/env.json").write_text(json.dumps({"TZ": "XYZ-13"}))  # 13 h east of UTC
    box.start()
    box.until("running")
    hour = int(box.daemon_log[11:13])
    assert (hour - time.gmtime().tm_hour) % 24 in (12, 13)
