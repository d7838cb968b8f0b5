"""The main job, on a real engine: configs become containers, and everything one expects of them answers."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from tests import ports
from tests.fleet import a_project
from tests.integration.conftest import Project, eventually

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, bot_image: str) -> Iterator[Project]:
    with a_project(tmp_path_factory.mktemp("main-job") / "project", bot_image) as made:
        yield made


@pytest.fixture
def fleet(shared: Project) -> Project:
    """Two instances, up and healthy, whatever an earlier test has done to them."""
    for path in (shared.folder / "config" / "active").iterdir():
        path.unlink()
    shared.add("bp_sol_01", 0)
    shared.add("bp_eth_01", 1, stem="backpack_eth")
    shared.manager("up", "--wait", "bp_sol_01", "bp_eth_01")
    return shared


def test_an_old_reader_finds_live_pids(fleet: Project) -> None:
    records = fleet.instances()
    assert set(records) == {"bp_sol_01", "bp_eth_01"}
    for instance, record in records.items():
        assert set(record) == {
            "config_file",
            "pid",
            "bot_pid",
            "log_dir",
            "web_port",
            "started_at",
            "status",
            "registered_at",
            "last_updated",
        }
        assert psutil.Process(record["pid"]).ppid() == psutil.Process(record["bot_pid"]).ppid()
        process = psutil.Process(record["bot_pid"])
        assert "/app/run.py" in process.cmdline()
        folder = fleet.folder / record["log_dir"]
        assert (folder / "bot.pid").read_text() == f"{record['bot_pid']}\n"
        assert (folder / "daemon.pid").read_text() == f"{process.ppid()}\n"
        assert record["config_file"] == (
            "config/active/backpack_eth.json" if instance == "bp_eth_01" else "config/active/bp_sol_01.json"
        )
    fleet.manager("stop", "bp_sol_01")
    record = fleet.instances()["bp_sol_01"]
    assert (record["pid"], record["status"]) == (0, "stopped")
    assert not (fleet.folder / record["log_dir"] / "bot.pid").exists()
    fleet.manager("down")
    assert fleet.instances() == {}


def test_stop_start_restart_status_list(fleet: Project) -> None:
    stopped = fleet.manager("stop", "--config", "config/active/bp_sol_01.json")
    assert "0 open orders left" in stopped.out
    status = fleet.manager("status", "bp_sol_01", code=1).json
    assert (status["running"], status["pid"], status["process_info"]) == (False, None, None)
    lines = fleet.manager("list").out.splitlines()
    assert [line[0] for line in lines[2:]] == ["🟢", "🔴"]
    fleet.manager("start", "-c", "config/active/bp_sol_01.json", "-d", "--wait")
    before = fleet.manager("status", "--config", "config/active/bp_sol_01.json").json
    assert before["running"] is True
    assert set(before["process_info"]) == {
        "name",
        "cmdline",
        "create_time",
        "cpu_percent",
        "memory_info",
        "status",
        "num_threads",
    }
    fleet.manager("restart", "bp_sol_01", "--wait")
    after = fleet.manager("status", "bp_sol_01").json
    assert after["pid"] != before["pid"]


def test_what_a_person_stopped_stays_stopped(fleet: Project) -> None:
    fleet.manager("stop", "bp_sol_01")
    assert "bp_sol_01: left alone: stopped by a user" in fleet.manager("up").out
    assert fleet.states()["bp_sol_01"] == "stopped"
    fleet.docker("stop", fleet.container("bp_eth_01"))
    assert "bp_eth_01: started" in fleet.manager("up").out
    fleet.manager("down")
    assert "left alone" in fleet.manager("up").out
    fleet.manager("up", "bp_sol_01", "--wait")
    assert fleet.states() == {"bp_eth_01": "running", "bp_sol_01": "running"}


def test_the_manager_recognises_what_compose_made(project: Project) -> None:
    project.add("bp_sol_01", 0)
    project.add("bp_eth_01", 1)
    project.manager("compose")
    project.compose("up", "-d")
    before = project.ids()
    assert len(before) == 2
    eventually(lambda: set(project.states().values()) == {"running"}, what="both running")
    assert "nothing to do" in project.manager("up").out
    assert project.ids() == before
    (project.folder / "config" / "active" / "worse.json").write_text("{")  # is no reason to leave them up
    project.manager("down")
    assert project.ids() == {}


def test_a_killed_bot_comes_back_after_its_delay(fleet: Project) -> None:
    before = fleet.instances()["bp_sol_01"]
    pid, count = before["bot_pid"], fleet.supervisor("bp_sol_01")["restarts"]["total"] + 1
    os.kill(pid, signal.SIGKILL)
    restarted = eventually(
        lambda: (
            (supervisor := fleet.supervisor("bp_sol_01"))["state"] == "running"
            and supervisor["restarts"]["total"] == count
            and supervisor
        ),
        what="a restart",
    )
    assert restarted["last_exit"]["signal"] == "SIGKILL"
    assert restarted["bot_started_at"] - restarted["last_exit"]["at"] >= 1
    row = fleet.ps()["bp_sol_01"]
    assert (row["restarts"], row["last_exit"]["signal"]) == (count, "SIGKILL")
    new = fleet.manager("list", "--json").json
    assert next(row["pid"] for row in new if row["id"] == "bp_sol_01") not in (0, pid)
    assert fleet.instances()["bp_sol_01"]["pid"] == before["pid"], "an old reader saw it live all the time"
    assert fleet.instances()["bp_sol_01"]["bot_pid"] not in (0, pid)


def test_the_fleet_outlives_the_session_that_started_it(project: Project) -> None:
    project.add("bp_sol_01")
    with subprocess.Popen(
        ["setsid", "sh", "-c", " ".join([*project.command("up", "--wait"), ">out 2>&1; sleep 60"])],
        cwd=project.folder,
        env={**os.environ, **project.environ},
    ) as session:
        eventually(lambda: project.states() == {"bp_sol_01": "running"}, what="running")
        os.killpg(session.pid, signal.SIGHUP)
    assert project.states() == {"bp_sol_01": "running"}


def test_a_restart_is_finished_although_its_terminal_is_closed(fleet: Project) -> None:
    """An ssh connection that broke left every bot down that had been stopped for its restart."""
    started = ("inspect", "--format", "{{.State.StartedAt}}", *fleet.ids())
    before = fleet.docker(*started).split()
    lock_file = fleet.folder / "volumes" / "state" / "fleet.lock"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        fleet.command("restart"),
        cwd=fleet.folder,
        env={**os.environ, **fleet.environ},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        eventually(lambda: b"restart" in lock_file.read_bytes(), what="the restart has begun")
        os.close(ours)  # what it prints from now on is an error
        process.send_signal(signal.SIGHUP)
        process.wait(60)
    eventually(lambda: set(fleet.states().values()) == {"running"}, what="all run again")
    after = fleet.docker(*started).split()
    assert all(now > then for then, now in zip(before, after, strict=True))


def test_a_changed_config_recreates_only_its_own_container(fleet: Project) -> None:
    before = fleet.ids()
    fleet.change("bp_sol_01", strategy_config={"grid_num": 10})
    assert fleet.ps()["bp_sol_01"]["drift"] == ["config"]
    assert fleet.manager("plan").out == "bp_sol_01: recreate: config changed\n    --grid-num 20 → 10\n"
    fleet.manager("up", "--wait")
    after = fleet.ids()
    assert {instance_id for instance_id in before if before[instance_id] != after[instance_id]} == {
        fleet.container("bp_sol_01")
    }
    fleet.change("bp_sol_01", metadata={"description": "other words"})
    assert "nothing to do" in fleet.manager("up").out


@pytest.mark.long_form  # tests/unit/ops/test_flows_up.py, and of the engine: tests/contract
def test_ports_can_be_swapped(fleet: Project) -> None:
    fleet.change("bp_sol_01", daemon_config={"web_port": fleet.first_port + 1})
    fleet.change("backpack_eth", daemon_config={"web_port": fleet.first_port})
    fleet.manager("up", "--wait")
    assert {instance_id: row["web_port"] - fleet.first_port for instance_id, row in fleet.ps().items()} == {
        "bp_sol_01": 1,
        "bp_eth_01": 0,
    }


@pytest.mark.long_form  # without an engine: tests/unit/ops/test_flows_up.py
def test_changed_values_restart_the_bot_in_its_container(project: Project) -> None:
    project.add("bp_sol_01", exchange_config={"base_url": "${BASE_URL:-https://api.backpack.exchange}"})
    project.manager("up", "--wait")
    before = project.ids()
    (project.folder / ".env").write_text("BASE_URL=http://127.0.0.1:1\n")
    assert project.manager("plan").out == "bp_sol_01: restart: environment changed\n"
    project.manager("up", "--wait")
    assert project.ids() == before
    assert "nothing to do" in project.manager("up").out


def test_a_taken_port_names_its_owner_and_the_others_start(project: Project) -> None:
    project.add("bp_sol_01", 0)
    project.add("bp_eth_01", 1)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", project.first_port))
        taken.listen()
        done = project.manager("up", code=1)
    assert f"cannot start bp_sol_01: port {project.first_port} is in use by " in done.err
    assert f"(pid {os.getpid()})" in done.err
    assert "change daemon_config.web_port in config/active/bp_sol_01.json" in done.err
    assert project.states()["bp_eth_01"] in {"starting", "running"}
    project.manager("up", "--wait")
    assert project.states() == {"bp_eth_01": "running", "bp_sol_01": "running"}


@pytest.mark.long_form  # tests/upgrade/test_update.py, tests/unit/ops/test_flows_ports.py
def test_a_port_is_found_and_remembered(project: Project) -> None:
    project.add("bp_sol_01", None)
    with ports.lowest_free():
        project.manager("up", "--wait")
        port = project.ps()["bp_sol_01"]["web_port"]
        assert port >= 5001
        project.manager("down")
        project.manager("up")
        assert project.ps()["bp_sol_01"]["web_port"] == port
        project.manager("down")


def test_orphans_are_shown_and_removed_only_when_asked(fleet: Project) -> None:
    (fleet.folder / "config" / "active" / "bp_sol_01.json").unlink()
    assert fleet.states()["bp_sol_01"] == "orphan"
    assert "nothing to do" in fleet.manager("up").out
    assert "--remove-orphans removes it" in fleet.manager("down").out
    assert fleet.ids().keys() == {fleet.container("bp_sol_01")}
    fleet.manager("down", "--remove-orphans")
    assert fleet.ids() == {}


def test_the_id_of_a_config_can_be_given_by_hand(project: Project) -> None:
    project.add("bp_sol_01")
    project.manager("start", "--config", "config/active/bp_sol_01.json", "--instance-id", "by_hand", "--wait")
    assert project.states() == {"by_hand": "running"}
    assert project.manager("status", "--instance-id", "by_hand").json["running"] is True
    done = project.manager("start", "-c", "config/active/bp_sol_01.json", "--instance-id", "again", code=2)
    assert "`manager down by_hand` first" in done.err
    project.manager("stop", "--instance-id", "by_hand")


@pytest.mark.long_form  # through a recreation: tests/integration/test_reading.py
def test_logs_follow_through_a_restart(fleet: Project) -> None:
    with subprocess.Popen(
        fleet.command("logs", "-f", "bp_sol_01", "bp_eth_01"),
        stdout=subprocess.PIPE,
        text=True,
        cwd=fleet.folder,
        env={**os.environ, **fleet.environ},
    ) as follower:
        assert follower.stdout is not None
        fleet.manager("restart", "bp_sol_01")
        seen = 0
        for line in follower.stdout:
            seen += line.startswith("bp_sol_01 | [supervisor] started the bot")
            if seen == 2:
                break
        follower.kill()
    assert "placed" in fleet.manager("logs", "--tail", "500", "bp_sol_01").out


def test_an_unknown_name_and_a_missing_image_are_said_plainly(project: Project) -> None:
    project.add("bp_sol_01")
    assert (
        "there is no instance bp_sol_1; did you mean bp_sol_01?"
        in project.manager("start", "bp_sol_1", code=2).err
    )
    project.docker("rmi", f"{project.name}-bot:local")
    settings = project.folder / "config" / "fleet.toml"  # an image of somebody's own is never built by `up`
    settings.write_text(f'{settings.read_text()}image = "{project.name}-bot:local"\n')
    assert (
        f"the image {project.name}-bot:local does not exist; build it with `manager build`"
        in project.manager("up", code=1).err
    )
    project.docker("tag", "botfleet-base:bookworm", f"{project.name}-bot:local", check=False)


def test_no_engine_is_exit_5(project: Project) -> None:
    project.add("bp_sol_01")
    for command in (["up"], ["ps"], ["down"], ["status", "bp_sol_01"]):
        done = project.manager(*command, code=5, environ={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
        assert done.err.startswith("error: no Docker Engine answers")
        assert "Traceback" not in done.err
    remote = project.manager("ps", code=5, environ={"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert "remote" in remote.err or "answers" in remote.err
