"""Stop the old daemon of an instance, if it is certainly that one, and ensure that nothing of it is left."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

from manager.errors import ManagerError, TimedOut
from manager.fleet import old_daemon
from manager.ops.folders import instance_folders
from manager.ops.migrate.inspect import OldConfig
from manager.util.polling import wait_until

STOP_TIMEOUT_S = 60.0
"""The old system took up to 50 s to cancel its bots' orders."""

POLL_S = 0.2


def deadline() -> float:
    """Return the time on the monotonic clock by which the daemons must have stopped."""
    return time.monotonic() + STOP_TIMEOUT_S


def request_stop(config: OldConfig) -> None:
    """Send SIGTERM once to the daemons, which would restart a bot. A bot without a daemon gets it directly.

    Processes that cannot be signalled are reported by `await_end`.
    """
    running = config.running
    for pid in running.daemons or running.bots:
        if pid in running.may_stop:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                psutil.Process(pid).terminate()


def await_end(config: OldConfig, folder: Path, until: float) -> None:
    """Wait until the old system no longer runs the instance. Raises TimedOut."""
    remaining: set[int] = set()

    def has_ended() -> bool:
        nonlocal remaining
        remaining = _still_there(config, folder)
        return not remaining

    if not wait_until(has_ended, until, POLL_S):
        raise TimedOut(
            "{id} did not stop: processes {pids} are still running after {seconds} s; stop them, check the "
            "exchange for open orders, and run the import again",
            id=config.id,
            pids=", ".join(map(str, sorted(remaining))),
            seconds=int(STOP_TIMEOUT_S),
        )


def _still_there(config: OldConfig, folder: Path) -> set[int]:
    remaining = {pid for pid in config.running.pids if old_daemon.is_alive(pid)} | set(
        _running(config, folder).pids
    )
    if config.database and (user := instance_folders.process_with_open(config.database.path)):
        remaining.add(user)
    return remaining


def _running(config: OldConfig, folder: Path) -> old_daemon.Running:
    spec = config.loaded.spec
    assert spec is not None
    return old_daemon.look(folder).running(config.id, config.source, spec.log_dir, spec.market)


def require_ended(config: OldConfig, folder: Path) -> None:
    """Check again right before the config is copied: the old system may have restarted it since the plan."""
    if pids := _running(config, folder).pids:
        raise ManagerError(
            "{id} was started again by the old system (processes {pids}); stop it there and run the import "
            "again",
            id=config.id,
            pids=", ".join(map(str, pids)),
        )
