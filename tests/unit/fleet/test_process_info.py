"""What `status` says of a process is what psutil says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from manager.fleet import process_info
from manager.util import formatting
from manager.util.polling import wait_until


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[int]:
    """The pid of a process with a long name, blanks and brackets in it, and two threads."""
    program = tmp_path / "a program (with) brackets"
    program.symlink_to(sys.executable)
    code = (
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); print(flush=True)"
    )
    with subprocess.Popen([program, "-I", "-c", code, ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_it_is_what_psutil_says(sleeper: int) -> None:
    process = psutil.Process(sleeper)
    wait_until(lambda: process.status() == psutil.STATUS_SLEEPING)
    info = process_info.of(sleeper)
    assert info is not None
    assert {key: info[key] for key in ("name", "cmdline", "status", "num_threads")} == {
        "name": process.name(),
        "cmdline": process.cmdline(),
        "status": "sleeping",
        "num_threads": 2,
    }
    memory = process.memory_info()
    assert info["memory_info"]["vms"] == memory.vms
    assert info["memory_info"]["rss"] == pytest.approx(memory.rss, rel=0.1)
    assert info["memory_info"]["rss_mb"] == round(info["memory_info"]["rss"] / formatting.MIB, 1)
    created = datetime.fromisoformat(info["create_time"]).timestamp()
    assert created == pytest.approx(process.create_time(), abs=1.1)
    assert 0 <= info["cpu_percent"] < 3200


def test_a_process_that_has_ended_is_none() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_info.of(process.pid) is None, "a zombie"
    assert process_info.of(process.pid) is None


def test_its_cpu_is_since_its_start(tmp_path: Path) -> None:
    """3 s of 10 s, and the kernel's short name where the command line has another one."""
    folder = tmp_path / "7"
    folder.mkdir()
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1000\nprocesses 3\n")
    hertz = os.sysconf("SC_CLK_TCK")
    fields = ["R", *["0"] * 10, str(2 * hertz), str(hertz), *["0"] * 4, "5", "0", str(hertz), "4096", "2"]
    (folder / "stat").write_text(f"7 (a name of 15 ch) {' '.join(fields)}\n")
    (folder / "cmdline").write_text("/bin/other\0-x\0")
    info = process_info.of(7, tmp_path, now=1011.0)
    assert info is not None
    assert (info["cpu_percent"], info["num_threads"], info["name"]) == (30.0, 5, "a name of 15 ch")
    assert info["cmdline"] == ["/bin/other", "-x"]
