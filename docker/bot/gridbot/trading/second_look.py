"""Ask for a second look at the price before a bound or a limit ends the run or moves its range."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import ExchangeError
from gridbot.runtime.log import log

# One print far from the market may stand for a while; two looks are at least this far apart.
APART_S = 1.0
# The same answer again may be the first one, out of a cache, or the same trade: that takes longer to believe.
SAME_ANSWER_S = 10.0
# The middle of a thin book may be as far from the market as this share of it; an odd print is farther.
FAR = Decimal("0.05")

T = TypeVar("T")


class SecondLook:
    """Let a decision pass when it holds on a mark price, or at all looks over `APART_S`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._since: float | None = None
        self._answer: object = None

    def confirm(self, decide: Callable[[Decimal], T | None], price: Decimal, now: float) -> T | None:
        """Return what `decide` says of `price`, None while that rests on a single look."""
        decision = decide(price)
        if decision is None:
            self._since = None
            return None
        if self._exchange.price_is_firm:
            return decision
        if (mark := self._mark()) is not None:
            self._since = None
            if (decision := decide(mark)) is None:
                log.warning("price %s is a single print, the market is at %s", price, mark)
            return decision
        answer = getattr(self._exchange, "price_answer", None)
        if self._since is None:
            self._since, self._answer = now, answer
            log.info("price %s would end the run or move its range: looking again", price)
            return None
        self._since = min(self._since, now)  # a clock that was set back must not delay a stop loss
        is_same = answer is not None and answer == self._answer
        return decision if now - self._since >= (SAME_ANSWER_S if is_same else APART_S) else None

    def market_price(self, price: Decimal) -> Decimal:
        """Return where the market is: `price`, or what no single trade moves where that is far from it."""
        mark = None if self._exchange.price_is_firm else self._mark()
        return price if mark is None or abs(mark - price) <= FAR * mark else mark

    def _mark(self) -> Decimal | None:
        try:
            return self._exchange.mark_price()
        except ExchangeError:
            return None
