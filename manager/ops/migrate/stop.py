"""Stops the old daemon of an instance, if it is certainly that one, and sees to it that nothing of it goes on."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

from manager.errors import ManagerError, TimedOut
from manager.fleet import old_daemon
from manager.ops import instance_folders
from manager.ops.migrate.inspect import Found
from manager.util.polling import wait_until

OLD_STOP_S = 60.0
"""What the old system gives its bots: cancelling their orders took it up to 50 s."""

POLL_S = 0.2


def deadline() -> float:
    """Until when those that are asked now have to end, on the monotonic clock."""
    return time.monotonic() + OLD_STOP_S


def ask(found: Found) -> None:
    """SIGTERM, once, to the daemons: a bot that is stopped alone is started again. A bot without a daemon gets it itself.

    What cannot be sent one is found to go on, later.
    """
    running = found.running
    for pid in running.daemons or running.bots:
        if pid in running.may_stop:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                psutil.Process(pid).terminate()


def await_end(found: Found, folder: Path, until: float) -> None:
    """Wait until the old system runs it no more, nor a bot that its daemon has started meanwhile. Raises TimedOut."""
    left: set[int] = set()

    def has_ended() -> bool:
        nonlocal left
        left = _still_there(found, folder)
        return not left

    if not wait_until(has_ended, until, POLL_S):
        raise TimedOut(
            "{id} does not end: processes {pids} go on after {seconds} s; end them, look at the exchange for open"
            " orders, and import again",
            id=found.id,
            pids=", ".join(map(str, sorted(left))),
            seconds=int(OLD_STOP_S),
        )


def _still_there(found: Found, folder: Path) -> set[int]:
    left = {pid for pid in found.running.pids if old_daemon.is_alive(pid)} | set(_running(found, folder).pids)
    if found.database and (user := instance_folders.process_with_open(found.database.path)):
        left.add(user)
    return left


def _running(found: Found, folder: Path) -> old_daemon.Running:
    spec = found.loaded.spec
    assert spec is not None
    return old_daemon.look(folder).running(found.id, found.source, spec.log_dir, spec.market)


def require_ended(found: Found, folder: Path) -> None:
    """Once more, where it counts: somebody may have started it since the plan."""
    if pids := _running(found, folder).pids:
        raise ManagerError(
            "{id} was started again by the old system (processes {pids}): stop it there, and import again",
            id=found.id,
            pids=", ".join(map(str, pids)),
        )
