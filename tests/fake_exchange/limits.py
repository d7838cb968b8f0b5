"""Request limits as exchanges have them: weights, windows per address and per account, and bans."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

TOO_MANY_REQUESTS = 429


class Scope(StrEnum):
    ADDRESS = "address"
    ACCOUNT = "account"


@dataclass(frozen=True)
class Window:
    """At most `most` weight in any `seconds`, for one address or one account.

    `methods`: what counts, all without any. A window of an address counts requests of accounts too, unless
    `accounts_exempt`. One of an account counts nothing without a key.
    """

    scope: Scope
    seconds: float
    most: int
    methods: frozenset[str] = frozenset()
    accounts_exempt: bool = False

    def key(self, address: str, account: str | None, method: str) -> str | None:
        """Whose count this request goes to, None if it is not counted here."""
        if self.methods and method not in self.methods:
            return None
        if self.scope is Scope.ACCOUNT:
            return account
        return None if self.accounts_exempt and account is not None else address


@dataclass(frozen=True)
class Rules:
    """`weights`: of one request by method and path, 1 for all others.

    An address that is refused `ban_after` times within `ban_within` seconds is banned for `ban_s`, and each
    further time for twice as long, up to `ban_most_s`. 0 bans nobody.
    """

    windows: tuple[Window, ...]
    weights: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    ban_after: int = 0
    ban_within: float = 60.0
    ban_s: float = 120.0
    ban_most_s: float = 3 * 86400.0
    ban_status: int = 418


# The windows are documented by the exchanges (read in November 2026); how many refused requests make a ban
# is not, and is assumed.
BACKPACK = Rules((Window(Scope.ACCOUNT, 60, 2000),))
ASTER = Rules(
    (
        Window(Scope.ADDRESS, 60, 2400),
        Window(Scope.ACCOUNT, 60, 1200, frozenset({"POST"})),
        Window(Scope.ACCOUNT, 10, 300, frozenset({"POST"})),
    ),
    # without a symbol the list of open orders weighs 40; the bot always names it
    weights=MappingProxyType({("GET", "/fapi/v3/userTrades"): 5}),
    ban_after=20,
)
PARADEX = Rules(
    (
        Window(Scope.ADDRESS, 60, 1500),
        Window(Scope.ACCOUNT, 60, 600, frozenset({"GET"})),
    )
)
LIGHTER = Rules(
    (Window(Scope.ADDRESS, 60, 60, accounts_exempt=True), Window(Scope.ACCOUNT, 60, 60)),
)
BYBIT = Rules((Window(Scope.ADDRESS, 5, 600),), ban_after=1, ban_s=600, ban_status=403)


@dataclass(frozen=True)
class Refusal:
    status: int
    retry_after: int


@dataclass
class Limits:
    """Counts requests under `rules`. Thread-safe. `refused` and `bans` are for the tests to look at."""

    rules: Rules
    clock: Callable[[], float] = time.monotonic
    requests: int = 0
    refused: int = 0
    bans: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[tuple[Window, str], deque[tuple[float, int]]] = {}
        self._refusals: dict[str, deque[float]] = {}
        self._banned: dict[str, tuple[float, float]] = {}  # address -> until when, for how long

    def next(self, address: str, account: str | None, method: str, path: str) -> Refusal | None:
        """Count one request. Return how it is refused, None if it is let through."""
        with self._lock:
            now = self.clock()
            self.requests += 1
            weight = self.rules.weights.get((method, path), 1)
            if (ban := self._ban(address, now)) is not None:
                self.refused += 1
                return ban
            counts = [
                (window, self._count((window, key), now))
                for window in self.rules.windows
                if (key := window.key(address, account, method)) is not None
            ]
            waits = [_wait(window, used, weight, now) for window, used in counts]
            if (wait := max(waits, default=0.0)) > 0:
                self.refused += 1
                return self._refuse(address, wait, now)
            for _window, used in counts:
                used.append((now, weight))
            return None

    def _count(self, key: tuple[Window, str], now: float) -> deque[tuple[float, int]]:
        used = self._used.setdefault(key, deque())
        while used and used[0][0] <= now - key[0].seconds:
            used.popleft()
        return used

    def _ban(self, address: str, now: float) -> Refusal | None:
        until, _length = self._banned.get(address, (0.0, 0.0))
        return None if now >= until else Refusal(self.rules.ban_status, math.ceil(until - now))

    def _refuse(self, address: str, wait: float, now: float) -> Refusal:
        recent = self._refusals.setdefault(address, deque())
        recent.append(now)
        while recent[0] <= now - self.rules.ban_within:
            recent.popleft()
        if self.rules.ban_after and len(recent) >= self.rules.ban_after:
            recent.clear()
            self.bans += 1
            _until, last = self._banned.get(address, (0.0, 0.0))
            length = min(max(last * 2, self.rules.ban_s), self.rules.ban_most_s)
            self._banned[address] = now + length, length
            return Refusal(self.rules.ban_status, math.ceil(length))
        return Refusal(TOO_MANY_REQUESTS, math.ceil(wait))


def _wait(window: Window, used: deque[tuple[float, int]], weight: int, now: float) -> float:
    """The seconds until `weight` has room in this window, 0 if it has now."""
    excess = sum(one for _at, one in used) + weight - window.most
    for at, one in used:
        if excess <= 0:
            break
        excess -= one
        if excess <= 0:
            return at + window.seconds - now
    return 0.0 if excess <= 0 else window.seconds
