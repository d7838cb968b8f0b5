"""Probe the machine through /proc and /sys, without network access or external programs."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from manager.monitor.doctor import remedies
from manager.monitor.doctor.facts import Disk, HostFacts
from manager.util import mountinfo
from manager.util.mountinfo import Mount
from manager.util.real_path import real_path

PROC = Path("/proc")
RTC = Path("/sys/class/rtc/rtc0/since_epoch")
TIMEX_BYTES = 512
"""Larger than the kernel's struct timex. Its first field, 0, requests the state without changing it."""
TIME_ERROR = 5
MAX_BYTES = 1 << 20
ROUTE_UP, ROUTE_REJECT = 0x1, 0x200


def probe() -> HostFacts:
    return HostFacts(
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
        has_ipv4_route=has_default_route(_text(PROC / "net/route"), is_ipv6=False),
        has_ipv6_route=has_default_route(_text(PROC / "net/ipv6_route"), is_ipv6=True),
        has_systemd=remedies.has_systemd(),
        has_apt=remedies.has_apt(),
        has_ntp=remedies.has_ntp(),
        is_root=remedies.is_root(),
    )


def memory(meminfo: str) -> int:
    """Return the bytes of RAM."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def disk(path: Path) -> Disk | None:
    """Return the file system of a path, which need not exist yet; None where it cannot be determined."""
    try:
        while not path.exists():
            path = path.parent
        status, real = os.statvfs(path), real_path(path)
    except OSError:
        return None
    return Disk(
        str(path),
        file_system(mountinfo.read(), real),
        status.f_blocks * status.f_frsize,
        status.f_bavail * status.f_frsize,
        status.f_files,
        status.f_favail,
    )


def file_system(mounts: Iterable[Mount], path: Path) -> str:
    """Return the type of the innermost mount above a resolved path.

    Of two mounts on one path the later one wins.
    """
    best, type_ = -1, "?"
    for mount in mounts:
        point = Path(mount.at)
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, type_ = len(point.parts), mount.type
    return type_


def has_default_route(table: str, *, is_ipv6: bool) -> bool:
    """Return whether a table of the kernel's has a route to everywhere that is up and refuses nothing."""
    everywhere, mask, flags_column = ("0" * 32, "00", 8) if is_ipv6 else ("0" * 8, "0" * 8, 3)
    for line in table.splitlines():
        fields = line.split()
        destination, length = (fields[0], fields[1]) if is_ipv6 else (fields[1], fields[7])
        if (destination, length) != (everywhere, mask):
            continue
        flags = int(fields[flags_column], 16)
        if flags & ROUTE_UP and not flags & ROUTE_REJECT:
            return True
    return False


def _is_clock_synchronised() -> bool | None:
    """Return the kernel's flag, which chrony, timesyncd and ntpd set."""
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
