"""Tell when this process was started."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/self/stat")
START_TICKS = 19
"""Place of the start among the fields behind the program's name, which may contain blanks and brackets."""


def started_at() -> float:
    """Return when the process was started, in Unix time by the present clock; now if it is not known."""
    now = time.time()
    try:
        fields = STAT.read_bytes().rpartition(b")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[START_TICKS]) / os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError, IndexError):
        return now
    return now - max(0.0, age)
