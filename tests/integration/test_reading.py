"""Logs through rotation, recreation and `down`; a screen that leaves nothing behind; into a container.

On a real engine.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from manager.util.readable import wait_readable
from tests.faults import bots
from tests.faults.conftest import build_fault_image
from tests.fleet import Project, a_project, eventually
from tests.terminal import on_terminal

pytestmark = pytest.mark.engine

SETTINGS = 'bot_dir = "its-own"\n[container]\nlog_max_size_mb = 1\nlog_max_files = 2\n'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One instance of a bot that prints what it is told, whose engine log holds two megabytes."""
    with a_project(tmp_path_factory.mktemp("read") / "project", build_fault_image(), SETTINGS) as made:
        bots.add(made, "bot_01", 0, metadata={"tags": ["main"]})
        yield made


@pytest.fixture
def fleet(shared: Project) -> Project:
    """It, up and healthy, whatever an earlier test has done to it."""
    shared.manager("up", "--wait", "bot_01")
    return shared


def written(fleet: Project, stream: str = "stdout") -> list[str]:
    """What the dated files hold of a stream."""
    files = sorted((fleet.folder / "volumes" / "logs" / "bot_01").glob(f"*/bot_{stream}.log"))
    return [line for file in files for line in file.read_text(errors="replace").splitlines()]


def told(fleet: Project, *words: str) -> None:
    """Makes the bot do something, and waits until it has read it."""
    bots.tell(fleet, "bot_01", " ".join(words))
    eventually(lambda: not (fleet.folder / "volumes/database/bot_01/do").exists(), what="the bot obeys")


def shown(fleet: Project, *options: str) -> list[dict[str, Any]]:
    out = fleet.manager("logs", "--json", "bot_01", *options).out
    return [json.loads(line) for line in out.splitlines()]


def require_all(fleet: Project) -> list[dict[str, Any]]:
    """Every line that was in the files before is shown once, in order; returns what was shown of stdout."""
    before = written(fleet)
    stdout_lines = [line for line in shown(fleet) if line["stream"] == "stdout"]
    assert [line["line"] for line in stdout_lines][: len(before)] == before
    return stdout_lines


def test_no_line_is_lost_or_doubled_by_rotation_recreation_or_down(fleet: Project) -> None:
    told(fleet, "flood 40000")
    eventually(lambda: "flooded" in written(fleet), what="four megabytes are written")
    stdout_lines = require_all(fleet)
    of_files = [line for line in stdout_lines if line["file"]]
    assert 15_000 < len(of_files) < 39_000, "the engine has rotated the first half away"
    assert all(line["time"] is None for line in of_files)
    assert stdout_lines[len(of_files)]["time"]

    fleet.change("bot_01", daemon_config={"memory_limit_mb": 300})
    assert "recreated" in fleet.manager("up", "--wait").out
    told(fleet, "say after")
    eventually(lambda: "after" in written(fleet), what="the new bot speaks")
    stdout_lines = require_all(fleet)
    assert sum(1 for line in stdout_lines if line["file"]) > 40_000
    lines = [line["line"] for line in shown(fleet)]
    tail = shown(fleet, "--tail", "100", "--grep", "^00399")
    assert [line["line"] for line in tail] == [line for line in lines if line.startswith("00399")]
    assert len(shown(fleet, "--tail", "30000")) == 30_000

    fleet.manager("down")
    everything = fleet.manager("logs", "bot_01")
    assert everything.out.splitlines() == written(fleet)
    assert "no container: bot_01; the lines are from the files in volumes/logs" in everything.err
    assert fleet.manager("logs", "--tail", "3", "bot_01").out.splitlines() == written(fleet)[-3:]


def test_following_outlives_a_recreation(fleet: Project) -> None:
    command = fleet.command("logs", "-f", "--tail", "0", "--grep", "mark", "bot_01")
    with subprocess.Popen(command, cwd=fleet.folder, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        seen: list[str] = []
        number = 0
        with contextlib.suppress(AssertionError):
            while not seen:  # it may still be looking for where to begin
                number += 1
                told(fleet, f"say mark {number}")
                if wait_readable(following.stdout, 1):
                    seen.append(following.stdout.readline())
        told(fleet, "say mark before")
        fleet.change("bot_01", daemon_config={"memory_limit_mb": 310})
        fleet.manager("up", "--wait")
        told(fleet, "say mark after")
        while not seen[-1].endswith("after\n"):
            seen.append(following.stdout.readline())
        following.terminate()
    assert [line for line in seen if "before" in line or "after" in line] == ["mark before\n", "mark after\n"]
    assert len(seen) == len(set(seen))


def test_a_pipe_gets_every_byte_and_a_terminal_none_that_it_would_obey(fleet: Project) -> None:
    junk = b"\x1b]0;owned\x07\xff\x00\x1b[31mred\x1b[0m\r " + "已成交".encode()
    long = b"y" * 50_000
    told(fleet, f"write stderr {(junk + bytes([10]) + long + bytes([10])).hex()}")
    eventually(lambda: any("yyy" in line for line in written(fleet, "stderr")), what="junk is written")
    command = fleet.command("logs", "--errors", "--grep", "成交|yyy", "bot_01")
    piped = subprocess.run(command, cwd=fleet.folder, capture_output=True, check=True, timeout=60).stdout
    assert piped == junk + b"\n" + long + b"\n"
    out, code = on_terminal(fleet, "logs", "--errors", "--grep", "成交", "bot_01")
    assert code == 0
    assert "\\u001b]0;owned\\u0007" in out
    assert "red\\u000d 已成交" in out
    assert not {"\x1b", "\x07", "\0"} & set(out)
    fleet.manager("down")
    piped = subprocess.run(command, cwd=fleet.folder, capture_output=True, check=True, timeout=60).stdout
    assert piped == junk + b"\n" + long + b"\n"


def test_a_watched_ps_leaves_the_terminal_as_it_was(fleet: Project) -> None:
    out, code = on_terminal(fleet, "ps", "--watch", "1", "--group", until="main (1)")
    assert code == 0
    assert out.startswith("\x1b[?1049h")
    assert out.index("main (1)") < out.index("bot_01")
    assert out.endswith("\x1b[?25h\x1b[?1049l")
    assert "--watch needs a terminal" in fleet.manager("ps", "--watch", code=2).err
    assert fleet.manager("ps", "--state", "failed,missing", "--json").json == []
    assert [row["tags"] for row in fleet.manager("ps", "--tag", "MAIN", "--json").json] == [["main"]]


def test_into_a_container_and_to_its_page(fleet: Project) -> None:
    done = fleet.manager("exec", "bot_01", "sh", "-c", "echo $0 $1; exit 7", "--json", "--help", code=7)
    assert done.out == "--json --help\n"
    out, code = on_terminal(fleet, "exec", "bot_01", "--", "tty")
    assert (out.startswith("/dev/pts/"), code) == (True, 0)
    page = f"http://127.0.0.1:{fleet.first_port}\n"
    assert fleet.manager("open", "--print", "bot_01").out == page
    fleet.manager("stop")
    for command in (["exec", "bot_01", "ls"], ["open", "bot_01"]):
        assert (
            "bot_01 is not running (stopped); start it with `manager start bot_01`"
            in fleet.manager(*command, code=1).err
        )
    assert "did you mean bot_01" in fleet.manager("exec", "bot_1", "ls", code=2).err
    environ = {"PATH": str(fleet.folder)}
    fleet.manager("start")
    assert "needs the docker command" in fleet.manager("exec", "bot_01", "ls", environ=environ, code=1).err
