"""Tell whether the process of a silent engine stands still, as by SIGSTOP: then waiting for it is no use."""

from __future__ import annotations

import _socket
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
ENGINE = "dockerd"
STOPPED = frozenset("Tt")
"""States of /proc/PID/stat: by a signal, or by a debugger."""
CONNECTS_WITHIN_S = 1.0


def standing_still(connection: _socket.socket) -> int | None:
    """Return the pid of the engine at the other end if it stands still; None if it does not, or is not known.

    Who made the socket is known: the engine, or systemd, which starts it and gives it the socket.
    """
    try:
        peer, _uid, _gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
    except OSError:
        return None
    if peer <= 0:  # in another namespace of processes
        return None
    name, state, _parent = _stat(peer) or ("", "", 0)
    if state in STOPPED:
        return int(peer)
    if name == ENGINE:
        return None
    engines = [(pid, state) for pid, (name, state, parent) in _all() if (name, parent) == (ENGINE, peer)]
    are_stopped = bool(engines) and all(state in STOPPED for _pid, state in engines)
    return engines[0][0] if are_stopped else None


def standing_still_at(path: str) -> int | None:
    """Return the same of the engine whose socket is at `path`."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONNECTS_WITHIN_S)
            connection.connect(path)
            return standing_still(connection)
    except OSError:
        return None


def _all() -> Iterator[tuple[int, tuple[str, str, int]]]:
    with os.scandir(PROC) as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdigit())
    for pid in pids:
        if stat := _stat(pid):
            yield pid, stat


def _stat(pid: int) -> tuple[str, str, int] | None:
    """Return a process's name, state and parent."""
    with suppress(OSError, ValueError, IndexError):
        before, _bracket, after = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")
        state, parent = after.split()[:2]
        return before.partition("(")[2], state, int(parent)
    return None
