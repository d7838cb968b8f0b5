"""The two programs as the image has them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervisor.harness import DOCKER, eventually

UPTIME = "5000.75 9000.10\n"


@pytest.mark.parametrize("ending", ["/__main__.py", "", "/"])
def test_the_folder_runs_as_a_program(tmp_path: Path, ending: str) -> None:
    """From any place, without site packages; here it has no state folder, says so, and idles."""
    shutil.copytree(
        DOCKER / "supervisor", tmp_path / "supervisor", ignore=shutil.ignore_patterns("__pycache__")
    )
    output = tmp_path / "said"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", f"{tmp_path}/supervisor{ending}"],
            env={"BOTFLEET_INSTANCE": "x"},
            cwd="/",
            stderr=file,
        )
    try:
        eventually(lambda: b"\n" in output.read_bytes())
        assert output.read_text().startswith("[supervisor] cannot lock /botfleet/state/supervisor.lock: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def healthcheck(tmp_path: Path, verdict: str | None) -> tuple[int, str]:
    (tmp_path / "uptime").write_text(UPTIME)
    if verdict is not None:
        (tmp_path / "verdict").write_text(verdict)
    result = subprocess.run(
        [shutil.which("dash") or "sh", DOCKER / "healthcheck", tmp_path / "verdict", tmp_path / "uptime"],
        env={"PATH": "/nonexistent"},  # shell builtins are all it has
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    return result.returncode, result.stdout


@pytest.mark.parametrize(
    ("verdict", "code", "text"),
    [
        ("ok 5000\n", 0, "ok\n"),
        ("ok 6000\n", 0, "ok\n"),
        ("ok 4999\n", 1, "the supervisor has been silent, its last verdict (ok) expired 1 s ago\n"),
        ("bad 6000 unhealthy: 503 Service Unavailable\n", 1, "bad: unhealthy: 503 Service Unavailable\n"),
        ("bad 6000\n", 1, "bad\n"),
        ("bad 6000 *  $(id) `id` \\n\n", 1, "bad: *  $(id) `id` \\n\n"),
    ],
)
def test_health_check(tmp_path: Path, verdict: str, code: int, text: str) -> None:
    assert healthcheck(tmp_path, verdict) == (code, text)


@pytest.mark.parametrize("verdict", [None, "", "\n", "ok\n", "ok soon\n", "ok -1\n", "nonsense"])
def test_health_check_without_a_verdict(tmp_path: Path, verdict: str | None) -> None:
    code, text = healthcheck(tmp_path, verdict)
    assert code == 1
    assert "no verdict" in text


def test_health_check_is_executable() -> None:
    assert os.access(DOCKER / "healthcheck", os.X_OK)
