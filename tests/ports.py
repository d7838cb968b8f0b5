"""TCP ports that no other test on this machine has: not another worker's, not another checkout's.

The kernel keeps the register. A port is reserved by an abstract socket of its name: one process of a network
namespace can have it, and it is gone with that process. Ports that something listens on are passed over, and
so is the range from which outgoing connections get theirs, so that a port is still free when a container asks
for it.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

LOWEST, HIGHEST = 10_000, 65_535
"""Below are the ports of services, and those that `manager` itself gives to instances."""
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 1000

_reserved = ExitStack()
"""Every reservation of this process; the kernel ends them with it."""


def reserve(count: int = 1) -> int:
    """Return the first of `count` free ports in a row, which stay reserved until this process ends."""
    low, high = map(int, OUTGOING.read_text().split())
    below, above = range(LOWEST, low - count), range(high + 1, HIGHEST - count)
    dice = random.SystemRandom()  # not the one that a test may have seeded
    for _try in range(TRIES):
        place = dice.randrange(len(below) + len(above))
        first = below[place] if place < len(below) else above[place - len(below)]
        with ExitStack() as taken:
            if all(_take(port, taken) for port in range(first, first + count)):
                _reserved.push(taken.pop_all())
                return first
    raise RuntimeError(f"cannot find {count} free ports in a row outside of {low}-{high}")


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


def _take(port: int, taken: ExitStack) -> bool:
    """Reserve one port. Reserved first, asked then: two that ask at once could both find it free."""
    name = taken.enter_context(socket.socket(socket.AF_UNIX))
    try:
        name.bind(f"\0botfleet-test-port-{port}")
    except OSError:
        return False
    return is_free(port)
