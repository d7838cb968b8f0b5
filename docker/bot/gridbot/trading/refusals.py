"""Track an exchange that refuses every order."""

from __future__ import annotations

from gridbot.model.condition import Code, Condition
from gridbot.model.errors import RejectedError
from gridbot.trading.retry import RetryPauses

# As many refusals in a row are no coincidence of a moving price.
MIN_REFUSALS = 3
# With orders in the market, refusals of all new ones count after this long without an accepted one.
PARTIAL_AFTER_S = 60.0
RETRY_FIRST_S = 5.0
# Refused orders can wait longer than an answer: what is wrong has to be put right by a person.
SLOWER = 5
SENTENCES = {
    "insufficient_funds": "the account has not enough funds",
    "unauthorized": "the key may not trade",
    "below_minimum": "the order is below the exchange's minimum",
    "other": "the exchange refuses every order",
}


class Refusals:
    """Count refusals since the last accepted order, and slow down the attempts while all are refused."""

    def __init__(self, retry_cap: float, pauses: RetryPauses | None = None) -> None:
        """Start without refusals. `retry_cap` is the longest pause while an exchange is away."""
        first = min(RETRY_FIRST_S, retry_cap)
        self._pauses = pauses or RetryPauses(first, SLOWER * retry_cap)
        self._count = 0
        self._since = 0.0
        self._last: RejectedError | None = None
        self.is_late = False
        self._retry_at: float | None = None
        self._paused_at = 0.0

    def record(self, err: RejectedError, now: float, *, is_late: bool = False) -> None:
        """Note a refused order or cancellation; `is_late` where it had been accepted first."""
        self.is_late = is_late
        self._since = now if self._count == 0 else min(self._since, now)
        self._count += 1
        self._last = err

    def clear(self) -> None:
        """Note an accepted order, or that none is wanted."""
        self._count, self._last, self._retry_at, self.is_late = 0, None, None, False
        self._pauses.reset()

    def update(self, now: float, live_orders: int) -> None:
        """Decide after a tick whether every order is refused."""
        self._since = min(self._since, now)
        if self._count < MIN_REFUSALS or (live_orders and now - self._since < PARTIAL_AFTER_S):
            return
        if self.allows_attempt(now):
            self._retry_at, self._paused_at = now + self._pauses.next(), now

    @property
    def is_active(self) -> bool:
        """Tell whether every order is refused."""
        return self._retry_at is not None

    def allows_attempt(self, now: float) -> bool:
        """Tell whether an order may be sent now. While all are refused, that is one after each pause."""
        # The clock may be set back.
        return self._retry_at is None or not self._paused_at <= now < self._retry_at

    def condition(self) -> Condition | None:
        """Return the condition, None while orders are accepted."""
        if not self.is_active or self._last is None:
            return None
        cause = self._last.cause if self._last.cause in SENTENCES else "other"
        params = {
            "since": round(self._since, 3),
            "cause": cause,
            "error": str(self._last),
            "refused": self._count,
        }
        if self._last.code is not None:
            params["code"] = self._last.code
        return Condition(Code.ORDERS_REFUSED, f"{SENTENCES[cause]}: {self._last}", params)
