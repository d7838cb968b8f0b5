"""What the supervisors say: `supervisor.json` and `report.json` of each instance (docker/README.md), read from the host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_FILE = "supervisor.json"
REPORT_FILE = "report.json"
STALE_INTERVALS = 3
STALE_MARGIN_S = 5.0
"""A probe may wait out its own time-out before the supervisor writes again."""


@dataclass(frozen=True)
class LastExit:
    """How the bot last ended."""

    code: int | None
    signal: str | None
    oom: bool
    killed: bool
    at: float
    why: str
    stderr_tail: tuple[str, ...]


@dataclass(frozen=True)
class Supervision:
    """One supervisor's last word. Times in seconds since the epoch, `updated_uptime` on the host's uptime clock."""

    container: str
    state: str
    why: str | None
    bot_pid: int | None
    bot_started_at: float | None
    updated_at: float
    updated_uptime: float
    health_interval: float
    restarts_in_a_row: int
    restarts_total: int
    restarts_max: int
    health_detail: str | None
    last_exit: LastExit | None

    def is_stale(self, uptime: float) -> bool:
        """Whether the supervisor has been silent for three probe intervals, or spoke before this boot."""
        age = uptime - self.updated_uptime
        return age < 0 or age > STALE_INTERVALS * self.health_interval + STALE_MARGIN_S


def read(state_dir: Path) -> Supervision | None:
    """The supervisor's state; None when there is none or it cannot be read."""
    try:
        return _decoded(json.loads((state_dir / STATE_FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def open_orders_left(state_dir: Path) -> int | None:
    """What the bot reported when it ended; None when it said nothing."""
    try:
        left = json.loads((state_dir / REPORT_FILE).read_bytes())["open_orders_left"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return left if isinstance(left, int) else None


def forget(state_dir: Path) -> None:
    """Clears what a person's start clears: a final state, the restart counts, the old report."""
    for name in (STATE_FILE, REPORT_FILE):
        (state_dir / name).unlink(missing_ok=True)


def uptime() -> float:
    """Seconds since boot, the clock that host and containers share."""
    return float(Path("/proc/uptime").read_bytes().split()[0])


def _decoded(raw: Any) -> Supervision:
    restarts, health, last = raw["restarts"], raw.get("health") or {}, raw.get("last_exit")
    return Supervision(
        container=str(raw["container"]),
        state=str(raw["state"]),
        why=raw.get("why"),
        bot_pid=raw.get("bot_pid"),
        bot_started_at=raw.get("bot_started_at"),
        updated_at=float(raw["updated_at"]),
        updated_uptime=float(raw["updated_uptime"]),
        health_interval=float(raw["health_interval"]),
        restarts_in_a_row=int(restarts["in_a_row"]),
        restarts_total=int(restarts["total"]),
        restarts_max=int(restarts["max"]),
        health_detail=health.get("detail"),
        last_exit=_last_exit(last) if last else None,
    )


def _last_exit(raw: Any) -> LastExit:
    return LastExit(
        code=raw["code"],
        signal=raw["signal"],
        oom=bool(raw["oom"]),
        killed=bool(raw["killed"]),
        at=float(raw["at"]),
        why=str(raw["why"]),
        stderr_tail=tuple(str(line) for line in raw.get("stderr_tail", ())),
    )
