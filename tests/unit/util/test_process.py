"""When a process was started, measured by a process that is started here."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from manager.util import process


def test_it_is_the_start_and_not_the_question() -> None:
    code = "import time; time.sleep(1); from manager.util import process; print(process.started_at())"
    before = time.time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert before - 0.1 < float(done.stdout) < time.time() - 0.9


def test_without_proc_it_is_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "STAT", tmp_path / "nothing")
    assert abs(process.started_at() - time.time()) < 1
