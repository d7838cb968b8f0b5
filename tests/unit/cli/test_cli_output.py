"""Where standard output cannot take what is said."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from manager.cli.report import Reporter
from manager.errors import BAD_CONFIG, TIMED_OUT, ManagerError
from manager.i18n import Text
from manager.ops.actions.action import Action
from manager.ops.actions.events import LeftAlone
from manager.util import console
from tests.builders import a_config, write_config

VARIABLES = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}


def run(
    folder: Path, stdout: IO[bytes], *words: str, unbuffered: str = ""
) -> subprocess.CompletedProcess[bytes]:
    write_config(folder, a_config())
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "manager",
            "--project-dir",
            str(folder),
            "--lang",
            "zh-TW",
            "config",
            *words,
        ],
        env={
            **os.environ,
            **VARIABLES,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONUNBUFFERED": unbuffered,
        },
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_no_bug(tmp_path: Path, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(tmp_path, full, "--check", unbuffered=unbuffered)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_what_cannot_be_printed_keeps_nothing_from_being_done(capfd: pytest.CaptureFixture[str]) -> None:
    """`stop > a full disk` named first what was down already, and then stopped nothing."""
    left = LeftAlone(Action("leave", "bp_sol_01", Text("not running")))
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(ManagerError), Reporter() as reporter:
            reporter(left)
        with Reporter(goes_on=True) as reporter:
            reporter(left)
            reporter(left)
        assert reporter.code(TIMED_OUT) == TIMED_OUT
    assert capfd.readouterr().err.count("cannot write to standard output: No space left on device") == 1


def test_errors_that_cannot_be_printed_end_nothing() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "stderr", io.TextIOWrapper(io.FileIO(os.open("/dev/full", os.O_WRONLY)), write_through=True)
        )
        console.error("no")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_that_the_caller_has_closed_is_no_bug(tmp_path: Path, closed: str) -> None:
    write_config(tmp_path, "{")
    shell = f'exec "$@" {closed}'
    command = [sys.executable, "-m", "manager", "--project-dir", str(tmp_path), "config", "--check"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *command], env=environment, capture_output=True, check=False
    )
    assert done.returncode == BAD_CONFIG
    assert b"Traceback" not in done.stderr


def test_what_nobody_reads_ends_no_command(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    write_config(tmp_path, "{", "broken")
    with open(writer, "wb") as stdout:  # noqa: PTH123 - a descriptor
        assert run(tmp_path, stdout).returncode == BAD_CONFIG


@pytest.mark.parametrize(
    ("given", "kept"), [(0o002, 0o022), (0, 0o022), (0o077, 0o077), (0o777, 0o077), (0o277, 0o077)]
)
def test_a_umask_lets_nobody_else_write_and_the_owner_read(given: int, kept: int) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, manager.cli.main as m; m._open_standard_streams = lambda: None;"
            "m.main = lambda *given: print(oct(os.umask(0))) or 0;"
            f"os.umask({given}); m.entry_point()",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == oct(kept)
