"""What a terminal shows of work under way."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """\
import time
from manager.util import progress_line
progress_line.FIRST_AFTER_S = progress_line.INTERVAL_S = 0.01
with progress_line.Progress(["slow", "quick"]) as shown:
    time.sleep(0.1)
    shown.finish("quick", "quick: stopped")
    time.sleep(0.1)
    shown.finish("slow", "slow: stopped")
"""


def test_what_is_under_way_stands_below_what_is_done_and_goes_away() -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "60"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=theirs, env=environ) as process:
        assert process.wait(30) == 0
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(theirs)
    assert "2 of 2 in progress, 0 s: slow, quick" in shown
    assert "1 of 2 in progress, 0 s: slow" in shown
    lines = [line.rpartition("\r\x1b[K")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    assert lines == ["quick: stopped", "slow: stopped", ""]
