"""Where standard output cannot take what is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.builders import a_config, write_config

VARIABLES = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}


def run(folder: Path, stdout: IO[bytes]) -> subprocess.CompletedProcess[bytes]:
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
            "--check",
        ],
        env={**os.environ, **VARIABLES, "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


def test_a_full_disk_is_no_bug(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(tmp_path, full)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr
