"""Spread the stops of live bots per exchange, so that their cancellations do not get the address banned.

Every bot of a fleet shares the address, and each paces only its own calls. Two hundred that cancel at one
moment are refused, then banned, and their orders stay in the market.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

from manager.config.exchanges import EXCHANGES
from manager.engine import labels
from manager.engine.containers import Container

AT_ONCE = 0.25
"""The share of a minute's stops that need not wait."""

LEAST_AT_ONCE = 4
"""A small fleet is stopped at once: a bot that trades on weighs more than some refused requests."""

MOST_S = 120.0
"""A bot trades until it is stopped, which weighs more than a refused request after so long."""


class StopTurns:
    """Give each stop of one command its turn. Thread-safe."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep, self._lock = clock, sleep, Lock()
        self._stops: dict[str, int] = {}
        self._began: dict[str, float] = {}

    def wait(self, container: Container, sleep: Callable[[float], None] | None = None) -> None:
        """Wait until this container may be stopped. `sleep`: a wait that ends with the command."""
        exchange = exchange_of(container)
        if exchange is None:
            return
        with self._lock:
            now = self._clock()
            before = self._stops.get(exchange, 0)
            self._stops[exchange] = before + 1
            pause = self._began.setdefault(exchange, now) + turn(exchange, before) - now
        if pause > 0:
            (sleep or self._sleep)(pause)


def turn(exchange: str, before: int) -> float:
    """Return the seconds after the first stop at which one with `before` others before it has its turn."""
    a_minute = EXCHANGES[exchange].stops_a_minute
    at_once = max(int(a_minute * AT_ONCE), LEAST_AT_ONCE)
    return min(max(before - at_once + 1, 0) * 60 / a_minute, MOST_S)


def longest(containers: Iterable[Container]) -> float:
    """Return the seconds over which the stops of these containers are spread."""
    stops: dict[str, int] = {}
    for container in containers:
        if exchange := exchange_of(container):
            stops[exchange] = stops.get(exchange, 0) + 1
    return max((turn(exchange, count - 1) for exchange, count in stops.items()), default=0.0)


def exchange_of(container: Container) -> str | None:
    """Return the exchange whose limits its stop counts towards, None if there are none."""
    exchange = container.labels.get(labels.EXCHANGE, "").lower()
    return exchange if container.mode == "live" and exchange in EXCHANGES else None
