"""Scripts of the old system go on working: readers and writers of instances.json, the Python API, the old
command line.

The reader and the writer here do what scripts of the old system do, and know nothing of ours.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from manager.config.fleet import DEFAULT_STOP_TIMEOUT_S
from tests.fleet import ROOT, Done, Project, a_project, eventually

pytestmark = pytest.mark.engine

FIELDS = {
    "config_file",
    "pid",
    "log_dir",
    "web_port",
    "started_at",
    "status",
    "registered_at",
    "last_updated",
}
LIST_ROW = re.compile(
    rf"🟢 {'old_a':<18} (?=\d+ )[\d ]{{10}} \d{{5}}      {'config/active/old_a.json':<40} "
    rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
)


@pytest.fixture
def old(tmp_path: Path, bot_image: str) -> Iterator[Project]:
    """A project with the old system's paths and two bots, none of them started."""
    with a_project(tmp_path / "project", bot_image, 'data_dir = "."\n') as made:
        # with the quick settings' few seconds a bot is killed on a busy machine, and the old command fails
        for port, instance in enumerate(("old_a", "old_b")):
            made.add(instance, port, daemon_config={"bot_stop_timeout": DEFAULT_STOP_TIMEOUT_S})
        yield made


# What scripts of the old system do


def old_file(project: Project) -> Path:
    return project.folder / "logs" / "instances.json"


def old_read(file: Path) -> dict[str, dict[str, Any]]:
    with file.open(encoding="utf-8") as stream:
        return dict(json.load(stream))


def old_alive(file: Path) -> list[str]:
    """The instances that an old reader shows in green."""
    return sorted(
        name for name, info in old_read(file).items() if info["pid"] and psutil.pid_exists(info["pid"])
    )


def old_write(file: Path, registry: dict[str, Any], pause: float = 0.0) -> None:
    """Truncates the file and fills it, as the old system did; `pause` in the middle."""
    text = json.dumps(registry, indent=2, ensure_ascii=False)
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text[: len(text) // 2])
        stream.flush()
        time.sleep(pause)
        stream.write(text[len(text) // 2 :])


def old_register(file: Path, instance: str, info: dict[str, Any], pause: float = 0.0) -> None:
    now = datetime.now().isoformat()
    registry = old_read(file) if file.exists() else {}
    old_write(file, {**registry, instance: {**info, "registered_at": now, "last_updated": now}}, pause)


def old_record(instance: str, pid: int) -> dict[str, Any]:
    return {
        "config_file": f"config/active/{instance}.json",
        "pid": pid,
        "log_dir": f"logs/{instance}",
        "web_port": 20999,
        "started_at": datetime.now().isoformat(),
        "status": "running",
    }


@contextmanager
def an_old_daemon() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no container of anybody."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Watcher(threading.Thread):
    """Reads the file all the time, as monitors do, and keeps what no reader should ever see."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file, self.reads, self.faults = file, 0, list[str]()
        self._ends = threading.Event()

    def run(self) -> None:
        while not self._ends.wait(0.002):
            try:
                for name, info in old_read(self.file).items():
                    self._check(name, info)
                self.reads += 1
            except FileNotFoundError:
                if self.reads:
                    self.faults.append("the file was gone")
            except Exception as error:  # noqa: BLE001 - whatever it is, no reader may meet it
                self.faults.append(repr(error))

    def _check(self, instance: str, info: dict[str, Any]) -> None:
        assert set(info) >= FIELDS, f"{instance} lacks {FIELDS - set(info)}"
        assert type(info["pid"]) is int
        psutil.pid_exists(info["pid"])
        for key in ("started_at", "registered_at", "last_updated"):
            datetime.fromisoformat(info[key])

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._ends.set()
        self.join()


def script(project: Project, text: str, code: int = 0) -> Any:
    """Runs a user's script in the project folder; what it prints is JSON."""
    done = old_command(project, "-c", f"import json\n{text}")
    assert done.code == code, done.err
    return json.loads(done.out.splitlines()[-1])


def old_command(project: Project, *args: str, timeout: float = 120) -> Done:
    done = subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **project.environ},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def daemon_manager(project: Project, *args: str) -> Done:
    return old_command(project, "-m", "manager.daemon_manager", *args)


# The file


@pytest.mark.long_form  # the test below, and of the export of each state: tests/unit/fleet
def test_a_restart_of_one_tells_the_truth_of_the_others(old: Project) -> None:
    old.change("old_b", daemon_config={"restart_delay": 60})
    old.manager("up", "--wait")
    before = old_read(old_file(old))
    assert old_alive(old_file(old)) == ["old_a", "old_b"]
    os.kill(before["old_b"]["bot_pid"], signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(before["old_b"]["bot_pid"]), 5)
    assert old_alive(old_file(old)) == ["old_a", "old_b"], (
        "it is kept running, and no command was needed to say so"
    )
    old.manager("restart", "old_a")
    after = old_read(old_file(old))
    assert old_alive(old_file(old)) == ["old_a", "old_b"]
    assert after["old_a"]["pid"] != before["old_a"]["pid"]
    assert (after["old_b"]["bot_pid"], after["old_b"]["status"]) == (0, "restarting")
    assert after["old_b"]["pid"] == before["old_b"]["pid"]
    pid_files = {instance_id: old.folder / "logs" / instance_id / "bot.pid" for instance_id in after}
    assert int(pid_files["old_a"].read_text()) == after["old_a"]["bot_pid"]
    assert not pid_files["old_b"].exists()
    old.manager("stop", "old_a")
    stopped = old_read(old_file(old))
    assert (stopped["old_a"]["pid"], stopped["old_a"]["status"]) == (0, "stopped")
    old.manager("start", "old_a")
    assert old_alive(old_file(old)) == ["old_a", "old_b"]


def test_a_reader_never_meets_a_broken_file_and_finds_the_truth(old: Project) -> None:
    file = old_file(old)
    with Watcher(file) as watcher:
        old.manager("up", "--wait")
        assert old_alive(file) == ["old_a", "old_b"]
        for name, info in old_read(file).items():
            assert "run.py" in " ".join(psutil.Process(info["bot_pid"]).cmdline())
            assert (old.folder / info["log_dir"] / "bot.pid").read_text().strip() == str(info["bot_pid"])
            assert psutil.pid_exists(int((old.folder / info["log_dir"] / "daemon.pid").read_text()))
            today = datetime.fromtimestamp(psutil.Process(info["bot_pid"]).create_time()).strftime("%Y-%m-%d")
            assert (old.folder / info["log_dir"] / today / "bot_stdout.log").stat().st_size > 0
            assert info["config_file"] == f"config/active/{name}.json"
        old.manager("stop", "old_a")
        assert old_alive(file) == ["old_b"]
        assert not (old.folder / "logs" / "old_a" / "bot.pid").exists()
        before = old_read(file)["old_b"]["pid"]
        old.manager("restart", "--wait")
        assert old_read(file)["old_b"]["pid"] != before
        assert old_alive(file) == ["old_b"]
        old.manager("start", "old_a", "--wait")
        assert old_alive(file) == ["old_a", "old_b"]
        os.kill(old_read(file)["old_a"]["bot_pid"], signal.SIGKILL)
        eventually(lambda: old.ps()["old_a"]["state"] == "running" and old.ps()["old_a"]["restarts"] == 1)
        eventually(lambda: old_alive(file) == ["old_a", "old_b"])
        old.manager("down")
        assert old_read(file) == {}
    assert watcher.faults == []
    assert watcher.reads > 100


def test_a_writers_records_live_through_everything_we_do(old: Project) -> None:
    file = old_file(old)
    file.parent.mkdir()
    with an_old_daemon() as daemon:
        old_register(file, "elsewhere_01", old_record("elsewhere_01", daemon.pid))
        foreign = old_read(file)["elsewhere_01"]
        for command in (
            ["up", "--wait"],
            ["ps"],
            ["stop", "old_a"],
            ["list"],
            ["start", "old_a"],
            ["export"],
        ):
            old.manager(*command)
            assert old_read(file)["elsewhere_01"] == foreign, command
        registry = old_read(file)
        registry["old_a"].update(note="mine", status="invented", pid=1)
        old_write(file, registry)
        old.manager("ps")
        assert old_read(file)["old_a"]["note"] == "mine"
        assert old_read(file)["old_a"]["pid"] not in {0, 1}
        assert old_read(file)["old_a"]["status"] != "invented"
        registry = old_read(file)
        del registry["old_b"], registry["elsewhere_01"]
        old_write(file, registry)
        old.manager("list")
        assert sorted(old_read(file)) == ["old_a", "old_b"]
        old_register(file, "elsewhere_01", foreign)
        old.manager("down")
        assert sorted(old_read(file)) == ["elsewhere_01"]


def test_a_writer_that_truncates_and_fills_is_given_the_time(old: Project) -> None:
    """Our commands read in the middle of its writes, and must neither lose its record nor put its file
    aside.
    """
    file = old_file(old)
    old.manager("up", "--wait")
    ends = threading.Event()

    def write_all_the_time() -> None:
        while not ends.wait(0.05):
            old_register(file, "elsewhere_01", old_record("elsewhere_01", os.getpid()), pause=0.1)

    writer = threading.Thread(target=write_all_the_time)
    writer.start()
    try:
        for _round in range(5):
            old.manager("export")
            old.manager("list")
    finally:
        ends.set()
        writer.join()
    old_register(file, "elsewhere_01", old_record("elsewhere_01", os.getpid()))
    old.manager("export")
    assert sorted(old_read(file)) == ["elsewhere_01", "old_a", "old_b"]
    assert old_alive(file) == ["elsewhere_01", "old_a", "old_b"]
    assert list(file.parent.glob("*unreadable*")) == []


def test_no_second_bot_beside_an_old_daemons(old: Project) -> None:
    """The evening of the migration, and the way back."""
    file = old_file(old)
    file.parent.mkdir()
    with an_old_daemon() as daemon:
        old_register(file, "old_a", old_record("old_a", daemon.pid))
        before = old_read(file)
        for command in (
            ["up"],
            ["start", "old_a"],
            ["stop", "old_a"],
            ["restart", "--config", "config/active/old_a.json"],
        ):
            done = old.manager(*command, code=1)
            assert f"old_a is run by process {daemon.pid}" in done.err, command
            assert "logs/instances.json" in done.err
        assert set(old.ids()) == {old.container("old_b")}, "it keeps only its own instance from starting"
        assert daemon_manager(old, "start", "-c", "config/active/old_a.json", "-d").code == 1
        old.manager("start", "old_b", "--wait")
        assert old_read(file)["old_a"] == before["old_a"]
        assert old_alive(file) == ["old_a", "old_b"]
    old.manager("start", "old_a", "--wait")
    assert old_alive(file) == ["old_a", "old_b"]
    old.manager("down")
    with an_old_daemon() as daemon:
        old_register(file, "old_a", old_record("old_a", daemon.pid))
        old.manager("ps")
        old.manager("export")
        assert old_alive(file) == ["old_a"]


# The Python API


def test_the_registry_shows_containers_and_keeps_foreign_records(old: Project) -> None:
    old.manager("up", "--wait")
    head = "from manager.instance_manager import InstanceManager, InstanceRegistry\nr = InstanceRegistry()\n"
    with an_old_daemon() as daemon:
        answers = script(
            old,
            f"{head}r.register('elsewhere_01', {{'pid': {daemon.pid}, 'web_port': 20999}})\n"
            "print(json.dumps([r.list_instances(), r.get_instance_by_port(20999), r.count_instances()]))",
        )
        assert [(row["instance_id"], row["is_alive"]) for row in answers[0]] == [
            ("elsewhere_01", True),
            ("old_a", True),
            ("old_b", True),
        ]
        assert answers[1]["instance_id"] == "elsewhere_01"
        assert answers[2] == 3
        old.manager("stop", "old_b")
        stats = script(old, f"{head}print(json.dumps(InstanceManager().get_all_stats()))")
        assert [row["is_alive"] for row in stats] == [True, True, False]
        assert stats[1]["process_info"]["memory_mb"] > 1
        assert stats[1]["pid"] == old_read(old_file(old))["old_a"]["pid"]
        valid = script(old, f"{head}print(json.dumps(InstanceManager().validate_instance_config('old_a')))")
        assert valid == {"valid": True, "errors": [], "warnings": []}
        away = "import os\nos.environ['DOCKER_HOST'] = 'unix:///nowhere.sock'\n"
        alone = script(old, f"{away}{head}print(json.dumps(sorted(r.load())))")
        assert alone == ["elsewhere_01", "old_a", "old_b"]
    assert script(old, f"{head}print(json.dumps([r.cleanup_dead_instances(), sorted(r.load())]))") == [
        1,
        ["old_a", "old_b"],
    ]
    assert sorted(old_read(old_file(old))) == ["old_a", "old_b"]


def test_the_registry_finds_the_fleets_file_in_its_data_folder(tmp_path: Path, old: Project) -> None:
    (old.folder / "config" / "fleet.toml").write_text(f'name = "{old.name}"\nvariables = ["GRIDBOT_*"]\n')
    old.manager("up", "old_a", "--wait")
    head = (
        "from manager.instance_manager import InstanceRegistry\nr = InstanceRegistry('logs/instances.json')\n"
    )
    records = script(old, f"{head}r.register('x', {{'pid': 0}})\nprint(json.dumps(r.list_instances()))")
    assert [row["instance_id"] for row in records] == ["old_a"]
    assert sorted(old_read(old.folder / "volumes" / "logs" / "instances.json")) == ["old_a", "x"]
    assert not (old.folder / "logs").exists()


# The old command line


def test_the_old_command_line_and_its_exit_codes(old: Project) -> None:
    config = "config/active/old_a.json"
    assert daemon_manager(old, "status", "--config", config).code == 1
    assert daemon_manager(old, "start", "--config", config, "--daemon").code == 0
    eventually(lambda: old.states()["old_a"] == "running")
    done = daemon_manager(old, "status", "-c", config)
    assert done.code == 0
    assert done.json["running"] is True
    assert {"name", "cmdline", "create_time", "cpu_percent", "memory_info", "status", "num_threads"} <= set(
        done.json["process_info"]
    )
    assert done.json["config"]["web_port"] == old.first_port
    done = old_command(old, "-m", "manager", "--lang", "zh-TW", "list")
    heads, rule, row = done.out.splitlines()
    assert heads == f"{'實例ID':<20} {'PID':<10} {'Web端口':<10} {'配置文件':<40} 啟動時間"
    assert rule == "-" * 116
    assert LIST_ROW.fullmatch(row), row
    before = old_read(old_file(old))["old_a"]["pid"]
    assert daemon_manager(old, "restart", "--instance-id", "old_a").code == 0
    eventually(lambda: old.ps() and old_read(old_file(old))["old_a"]["pid"] not in {0, before})
    assert daemon_manager(old, "stop", "--config", config).code == 0
    assert daemon_manager(old, "list").code == 0
    assert daemon_manager(old, "stop", "--config", "config/active/none.json").code == 1


def test_starts_side_by_side_wait_for_each_other(old: Project) -> None:
    old.add("old_c", 2)
    names = ["old_a", "old_b", "old_c"]
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "manager.daemon_manager",
                "start",
                "-d",
                "-c",
                f"config/active/{name}.json",
            ],
            cwd=old.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **old.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    assert [process.wait(timeout=120) for process in started] == [0] * len(names)
    assert sorted(old_read(old_file(old))) == sorted(names)


@pytest.mark.long_form  # without an engine: tests/unit/compat/test_daemon.py
def test_the_foreground_shows_the_bot_and_a_signal_stops_it(old: Project, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    with shown.open("wb") as stream:
        process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-m",
                "manager.daemon_manager",
                "start",
                "--config",
                "config/active/old_a.json",
            ],
            cwd=old.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **old.environ},
            stdout=stream,
            stderr=stream,
        )
    try:
        eventually(lambda: "PAPER" in shown.read_text(), what=shown.read_text())
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=60) == 0, shown.read_text()
    finally:
        process.kill()
        process.wait()
    assert old.states()["old_a"] == "stopped"


@pytest.mark.long_form  # the same by its commands: the tests above; without an engine: tests/unit/compat
def test_the_daemon_class(old: Project) -> None:
    answers = script(
        old,
        "from manager.daemon_manager import TradingBotDaemon\n"
        "d = TradingBotDaemon('config/active/old_a.json')\n"
        "answers = [d.start(), d.start(), d.status()['running'], d.restart(), d.stop(),"
        " d.status()['running'], d.stop()]\n"
        "answers.append([row['instance_id'] for row in d.list_instances()])\n"
        "print(json.dumps(answers))",
    )
    assert answers == [True, True, True, True, True, False, True, ["old_a"]]
