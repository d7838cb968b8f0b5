"""Looks at the machine, through /proc and /sys: no network, no program run."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import time
from pathlib import Path

from manager.monitor.doctor.facts import Disk, Host

PROC = Path("/proc")
RTC = Path("/sys/class/rtc/rtc0/since_epoch")
TIMEX_BYTES = 512
"""More than the kernel's struct timex, whose first word, 0, asks and sets nothing."""
TIME_ERROR = 5
MAX_BYTES = 1 << 20
ESCAPED = re.compile(r"\\([0-7]{3})")
"""A space in a mount's path, as the kernel writes it."""


def look() -> Host:
    """The machine as it is now."""
    return Host(
        cores=os.cpu_count() or 1,
        memory=memory(_text(PROC / "meminfo")),
        load=os.getloadavg()[1],
        is_clock_synchronised=_is_clock_synchronised(),
        rtc_offset=_rtc_offset(),
        inotify_instances=_number(PROC / "sys/fs/inotify/max_user_instances"),
        inotify_watches=_number(PROC / "sys/fs/inotify/max_user_watches"),
        max_pids=_number(PROC / "sys/kernel/pid_max"),
        open_files=_limit(resource.RLIMIT_NOFILE),
        max_user_processes=_limit(resource.RLIMIT_NPROC),
    )


def memory(meminfo: str) -> int:
    """Bytes of RAM."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def disk(path: Path, mounts: str | None = None) -> Disk | None:
    """The file system that a path is on, or would be once it is made; None where it cannot be looked at."""
    try:
        while not path.exists():
            path = path.parent
        found, real = os.statvfs(path), path.resolve()
    except OSError:
        return None
    return Disk(
        str(path),
        file_system(_text(PROC / "self/mountinfo") if mounts is None else mounts, real),
        found.f_blocks * found.f_frsize,
        found.f_bavail * found.f_frsize,
        found.f_files,
        found.f_favail,
    )


def file_system(mounts: str, path: Path) -> str:
    """The type of the innermost mount above a real path, of the lines of /proc/self/mountinfo; the last one made wins."""
    best, found = -1, "?"
    for line in mounts.splitlines():
        before, _dash, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        at = Path(ESCAPED.sub(lambda found: chr(int(found[1], 8)), words[4]))
        if path.is_relative_to(at) and len(at.parts) >= best:
            best, found = len(at.parts), after.split()[0]
    return found


def _is_clock_synchronised() -> bool | None:
    """What the kernel was told by whoever keeps the clock: chrony, timesyncd and ntpd all tell it."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def _rtc_offset() -> float | None:
    seconds = _number(RTC)
    return None if seconds is None else seconds - time.time()


def _limit(which: int) -> int | None:
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(MAX_BYTES)
    except OSError:
        return ""
