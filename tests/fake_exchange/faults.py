"""What goes wrong on the way: decided once a request, from a seed."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    NONE = "none"
    TOO_MANY = "429"
    UNAVAILABLE = "503, not carried out"
    BROKEN_AFTER = "502, carried out"
    DROP_BEFORE = "connection dropped, not carried out"
    DROP_AFTER = "connection dropped, carried out"
    HANG_AFTER = "carried out, answer too late"
    LATE = "carried out after the client has given up"
    GARBAGE = "an HTML page with status 200"
    BANNED = "418, with Retry-After"


@dataclass
class Faults:
    """`rate`: the share of requests something happens to. `spared` are paths it never
    happens to. `down`: nothing is answered at all.

    `away_for` is an outage that ends by itself. `retry_after`: the seconds that a ban's answer names.
    """

    rate: float = 0.0
    latency: tuple[float, float] = (0.0, 0.0)
    hang_s: float = 1.0
    kinds: tuple[Fault, ...] = tuple(f for f in Fault if f not in (Fault.NONE, Fault.BANNED))
    seed: int = 0
    down: bool = False
    retry_after: int = 1
    spared: frozenset[str] = frozenset()
    counts: dict[Fault, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._away: Fault | None = None
        self._back_at = 0.0

    def away_for(self, seconds: float, fault: Fault = Fault.DROP_BEFORE) -> None:
        """From now on, for `seconds`, `fault` happens to every request."""
        with self._lock:
            self._away, self._back_at = fault, time.monotonic() + seconds

    def next(self, path: str) -> tuple[Fault, float]:
        """The fault of this request, and the seconds it is delayed by."""
        with self._lock:
            if self.down:
                return Fault.DROP_BEFORE, 0.0
            if self._away is not None and time.monotonic() < self._back_at:
                return self._away, 0.0
            delay = self._random.uniform(*self.latency)
            faulty = self._random.random() < self.rate and path not in self.spared
            fault = self._random.choice(self.kinds) if faulty else Fault.NONE
            self.counts[fault] = self.counts.get(fault, 0) + 1
            return fault, delay
