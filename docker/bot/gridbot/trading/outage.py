"""Track an exchange that does not answer."""

from __future__ import annotations

from typing import Any

from gridbot.model.condition import Code, Condition
from gridbot.model.errors import ExchangeError
from gridbot.trading.retry import asked_pause

SENTENCES = {
    "unreachable": "the exchange does not answer",
    "maintenance": "the exchange is under maintenance",
    "rate_limited": "the exchange limits this bot's requests",
    "banned": "the exchange has banned this address for a while",
    "unclear": "the exchange answers what makes no sense",
}


class Outage:
    """Remember since when calls fail, and why.

    A short failure is no outage yet: exchanges drop single requests every day, and a condition that changed
    with each of them would mean nothing. A ban is one at once, because it lasts.
    """

    def __init__(self, tolerated_s: float) -> None:
        self._tolerated_s = tolerated_s
        self._since: float | None = None
        self._last: ExchangeError | None = None
        self._last_at = 0.0
        self._declared = False

    def record(self, err: ExchangeError, now: float) -> None:
        """Note a failed call."""
        self._since = now if self._since is None else min(self._since, now)  # the clock may be set back
        self._last, self._last_at = err, now
        lasts = now - self._since >= self._tolerated_s
        self._declared = self._declared or lasts or err.cause == "banned"

    def clear(self) -> None:
        """Note an answer."""
        self._since = self._last = None
        self._declared = False

    def condition(self, open_orders: int | None) -> Condition | None:
        """Return the condition, None while the exchange answers or has failed only briefly."""
        if not self._declared or self._last is None or self._since is None:
            return None
        cause = self._last.cause if self._last.cause in SENTENCES else "unclear"
        params: dict[str, Any] = {
            "since": round(self._since, 3),
            "cause": cause,
            "error": str(self._last),
            "open_orders": open_orders,
        }
        if pause := asked_pause(self._last):
            params["retry_at"] = round(self._last_at + pause, 3)
        return Condition(Code.EXCHANGE_AWAY, f"{SENTENCES[cause]}: {self._last}", params)
