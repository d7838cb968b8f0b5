"""TCP ports that no other test on this machine has: not another worker's, not another checkout's.

The kernel keeps the register: a lock on one byte of a file, the port's, which is gone with the process. All
ports of a process cost it one descriptor. Ports that something listens on are passed over, and so is the
range from which outgoing connections get theirs, so that a port is still free when a container asks for it.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

LOWEST, HIGHEST = 10_000, 65_535
"""Below are the ports of services, and those that `manager` itself gives to instances."""
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 1000

_given: set[int] = set()
"""This process's own: the kernel lets a process lock a second time what it has locked."""


def reserve(count: int = 1) -> int:
    """Return the first of `count` free ports in a row, which stay reserved until this process ends."""
    low, high = map(int, OUTGOING.read_text().split())
    below, above = range(LOWEST, low - count), range(high + 1, HIGHEST - count)
    dice = random.SystemRandom()  # not the one that a test may have seeded
    for _try in range(TRIES):
        place = dice.randrange(len(below) + len(above))
        first = below[place] if place < len(below) else above[place - len(below)]
        if _take(first, count):
            return first
    raise RuntimeError(f"cannot find {count} free ports in a row outside of {low}-{high}")


@contextmanager
def lowest_free() -> Iterator[None]:
    """Have no other test's manager choose the lowest free port at the same moment: one would fail."""
    with Path(tempfile.gettempdir(), "bft-lowest-port.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_free(port: int) -> bool:
    """Return whether no program has the port, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the engine does: TIME_WAIT is no listener
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _take(first: int, count: int) -> bool:
    """Reserve `count` ports. Reserved first, asked then: two that ask at once could both find them free."""
    ports = range(first, first + count)
    if not _given.isdisjoint(ports):
        return False
    try:
        fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, count, first)
    except OSError:
        return False
    _given.update(ports)
    return all(map(is_free, ports))


@cache
def _register() -> int:
    """Return the descriptor of the file that holds the locks: one for a user and a network namespace."""
    network = Path("/proc/self/ns/net").stat().st_ino
    path = Path(tempfile.gettempdir(), f"botfleet-test-ports-{os.getuid()}-{network}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
