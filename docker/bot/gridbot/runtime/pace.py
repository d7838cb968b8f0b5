"""Keep to this bot's share of its exchange's requests, which other bots behind the same address have too.

The manager writes the share into a file that no bot can write to (docker/README.md). Without a usable file
nothing waits here, and ccxt's own pace is all there is.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbot.model.errors import UnreachableError
from gridbot.runtime import handed_file

# How many seconds of the share may be used at once. All bots' bursts together then fit into what the manager
# does not share out.
BURST_S = 5.0
CANCEL_BURST_S = 20.0
# Orders that were cancelled beyond the share are paid back by later ticks, up to this many seconds' worth.
MOST_DEBT_S = 60.0
# Whatever the file says: no request and no tick waits for longer, and no ban is believed for longer.
MOST_WAIT_S = 60.0
MOST_PAUSE_S = 300.0
MOST_BAN_S = 86400.0
# A position that has to be closed waits for nothing for so long. An exchange that goes on refusing to close
# it is then asked at the share's pace again.
HURRY_S = 60.0
# A look that is repeated takes at most this part of the share.
PART_FOR_LOOKS = 0.05
# Of an address's limit, as the exchange counts it: beyond this nothing but cancels is sent in that minute.
USED_UP = 0.9
STEP_S = 0.1
LEAST_A_MINUTE, MOST_A_MINUTE, MOST_WEIGHT = 0.1, 1e6, 1000.0


@dataclass(frozen=True, slots=True)
class Share:
    """Hold what the file says. Requests are counted per minute, `tick` and `weights` in requests.

    `orders`: how many of a minute's requests may be orders, for exchanges that count them apart; 0: all.
    """

    a_minute: float
    for_cancels: float = 0.0
    tick: float = 3.0
    weights: Mapping[str, float] = field(default_factory=dict)
    banned_until: float = 0.0
    orders: float = 0.0


class Pace:
    """Space requests by a token bucket, with a second one for cancels. Thread-safe.

    A cancel never waits: beyond its reserve it takes what the next ticks would have had.
    """

    def __init__(
        self,
        path: Path | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path, self._is_stopping = path, is_stopping
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._is_released = False
        self._hurries_until = float("-inf")
        self._waited_s = 0.0
        self._tokens = self._reserve = self._orders = 0.0
        self._filled_at = clock()
        self._used_up_until = float("-inf")
        self.is_urgent = False
        self.share: Share | None = None
        self.read()

    def read(self) -> None:
        """Read the file if it is another one than before. One that cannot be used is as none."""
        if self._path is None:
            return
        try:
            status = self._path.lstat()
            seen = status.st_mtime_ns, status.st_ino, status.st_size
            if seen == self._seen:
                return
            self._seen, share = seen, parse(handed_file.read(self._path))
        except OSError:
            self._seen, share = None, None
        with self._lock:
            self._fill()
            is_first, self.share = self.share is None, share
            if share is not None and is_first:
                self._tokens, self._reserve = _most(share), _most_for_cancels(share)
                self._orders = _most_orders(share)

    def release(self) -> None:
        """Let nothing wait any more: orders are to be cancelled."""
        self._is_released = True

    def hurry(self) -> None:
        """Let nothing wait for HURRY_S, to close a position. Later ticks pay for it, as for cancels."""
        self._hurries_until = self._clock() + HURRY_S

    @contextlib.contextmanager
    def urgent(self) -> Iterator[None]:
        """Let no call of the block wait for ccxt's own pace: it answers a fill, and later ones make up.

        The share is kept to nevertheless.
        """
        self.is_urgent = True
        try:
            yield
        finally:
            self.is_urgent = False

    def limit(self, own_s: float, most_s: float) -> Callable[[], bool]:
        """Return a function that tells whether `own_s` are over from now on.

        What calls wait for the share does not count towards them; with it, `most_s` is the limit.
        """
        began, waited = self._clock(), self._waited_s

        def is_over() -> bool:
            spent = self._clock() - began
            return spent > most_s or spent - (self._waited_s - waited) > own_s

        return is_over

    def spacing(self, name: str, least_s: float, most_s: float) -> float:
        """Return how many seconds apart repeated calls of `name` are to be, for the share to be ticks'."""
        share = self.share
        if share is None:
            return least_s
        a_call = share.weights.get(name, 1.0) * 60 / share.a_minute
        return min(max(a_call / PART_FOR_LOOKS, least_s), most_s)

    def note_used(self, part: float) -> None:
        """Take down which part of this minute's limit the exchange says that the address has used.

        Other programs on this machine have no share, and what they use up ends in a ban for all.
        """
        if part >= USED_UP:
            self._used_up_until = self._clock() + 60 - self._wall() % 60

    def pause(self) -> float:
        """Return the seconds until the share has room for a whole tick, so that it is not interrupted."""
        self.read()
        with self._lock:
            self._fill()
            share = self.share
            if self._may_not_wait():
                return 0.0
            used_up_s = max(self._used_up_until - self._clock(), 0.0)
            if share is None:
                return used_up_s
            missing = min(share.tick, _most(share)) - self._tokens
            return min(max(missing * 60 / share.a_minute, used_up_s), MOST_PAUSE_S)

    def before_call(self, name: str, on_wait: Callable[[], object], *, is_cancel: bool = False) -> None:
        """Wait until this request may be sent. Raises UnreachableError while the address is banned.

        `on_wait` is called while it waits, to show that the bot is alive.
        """
        share = self.share
        if share is None:
            return
        weight = min(share.weights.get(name, 1.0), _most(share))
        if is_cancel or self._must_hurry():
            self._take_for_cancel(weight)
            return
        if name != "create_order":  # its outcome would be unknown; the tick began before the ban
            self._require_no_ban(share)
        began = self._clock()
        deadline = began + MOST_WAIT_S
        is_order = name == "create_order"
        while (
            not self._take(weight, is_order=is_order) and self._clock() < deadline and not self._must_hurry()
        ):
            on_wait()
            self._sleep(STEP_S)
        self._waited_s += self._clock() - began

    def _must_hurry(self) -> bool:
        return self._may_not_wait() or self._is_stopping()

    def _may_not_wait(self) -> bool:
        return self._is_released or self._clock() < self._hurries_until

    def _take(self, weight: float, *, is_order: bool) -> bool:
        with self._lock:
            self._fill()
            is_limited = is_order and self.share is not None and self.share.orders > 0
            if self._tokens < weight or (is_limited and self._orders < 1):
                return False
            self._tokens -= weight
            self._orders -= is_limited
            return True

    def _take_for_cancel(self, weight: float) -> None:
        with self._lock:
            self._fill()
            if self._reserve >= weight:
                self._reserve -= weight
            elif self.share is not None:
                debt = -self.share.a_minute * MOST_DEBT_S / 60
                self._tokens = max(self._tokens - weight, min(debt, self._tokens))

    def _fill(self) -> None:
        now, share = self._clock(), self.share
        passed, self._filled_at = now - self._filled_at, now
        if share is not None:
            self._tokens = min(self._tokens + passed * share.a_minute / 60, _most(share))
            self._reserve = min(self._reserve + passed * share.for_cancels / 60, _most_for_cancels(share))
            self._orders = min(self._orders + passed * share.orders / 60, _most_orders(share))

    def _require_no_ban(self, share: Share) -> None:
        left = share.banned_until - self._wall()
        if 0 < left <= MOST_BAN_S:
            raise UnreachableError(
                "the exchange has banned this address: another bot was told so",
                cause="rate_limited",
                retry_after=left,
            )


def parse(content: bytes) -> Share | None:
    """Return what a file says, None if it cannot be used."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    share = _number(raw.get("a_minute"), LEAST_A_MINUTE, MOST_A_MINUTE)
    for_cancels = _number(raw.get("for_cancels", 0), 0.0, MOST_A_MINUTE)
    tick = _number(raw.get("tick", 3), 0.0, MOST_WEIGHT)
    banned_until = _number(raw.get("banned_until", 0), 0.0, 1e12)
    orders = _number(raw.get("orders", 0), 0.0, MOST_A_MINUTE)
    weights = raw.get("weights", {})
    if share is None or for_cancels is None or tick is None or banned_until is None or orders is None:
        return None
    if not isinstance(weights, dict):
        return None
    known = {name: _number(weight, 1.0, MOST_WEIGHT) for name, weight in weights.items()}
    return Share(
        share,
        for_cancels,
        tick,
        {name: weight for name, weight in known.items() if weight is not None},
        banned_until,
        orders,
    )


def _number(value: Any, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if least <= value <= most else None  # false for NaN too


def _most(share: Share) -> float:
    return max(share.a_minute * BURST_S / 60, share.tick, 1.0)


def _most_for_cancels(share: Share) -> float:
    return max(share.for_cancels * CANCEL_BURST_S / 60, 1.0)


def _most_orders(share: Share) -> float:
    return max(share.orders * BURST_S / 60, 1.0)
