"""Order what processes did by the kernel's own time since boot, which no setting of the clock moves.

Both sides are read from /proc, to 1/100 s: when a process started, and when a thread did that is started to
ask. So they agree wherever the time is presented otherwise (time namespaces, LXC, a faked libc).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from manager.typed import Any, NamedTuple

PROCESS = Path("/proc/self/stat")
THREAD = Path("/proc/thread-self/stat")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
START_TICKS = 19
"""Place of the start among the fields behind the program's name, which may contain blanks and brackets."""


class Moment(NamedTuple):
    """Hold a point in time: the boot it belongs to, empty if unknown, and the seconds since."""

    boot: str = ""
    uptime_s: float = 0.0

    def is_after(self, other: "Moment") -> bool:
        """Return whether it is known to be later. Of another boot nothing is known."""
        return bool(self.boot) and self.boot == other.boot and self.uptime_s > other.uptime_s


def of_this_process() -> Moment:
    """Return when this process was started."""
    return _started(PROCESS)


def of_process(pid: int) -> Moment:
    """Return when a process was started; an unknown moment if it is gone."""
    return _started(Path(f"/proc/{pid}/stat"))


def now() -> Moment:
    """Return the present moment."""
    import threading  # loaded only by what changes a fleet

    moments = []
    thread = threading.Thread(target=lambda: moments.append(_started(THREAD)))
    try:
        thread.start()
    except RuntimeError:  # no more threads for this user
        return Moment()
    thread.join()
    return moments[0]


def decoded(raw: Mapping[str, Any]) -> Moment:
    """Return the moment that was written as its fields; an unknown one from anything else."""
    match raw:
        case {"boot": str(boot), "uptime_s": int(uptime_s) | float(uptime_s)}:
            return Moment(boot, uptime_s)
    return Moment()


def _started(stat: Path) -> Moment:
    try:
        fields = stat.read_bytes().rpartition(b")")[2].split()
        ticks = int(fields[START_TICKS]) / os.sysconf("SC_CLK_TCK")
        return Moment(BOOT_ID.read_text().partition("-")[0].strip(), ticks)
    except (OSError, ValueError, IndexError):
        return Moment()
