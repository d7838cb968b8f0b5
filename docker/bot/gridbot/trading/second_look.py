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

T = TypeVar("T")


class SecondLook:
    """Let a decision pass when it holds on a mark price, or at all looks over `APART_S`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._since: float | None = None

    def confirm(self, decide: Callable[[Decimal], T | None], price: Decimal, now: float) -> T | None:
        """Return what `decide` says of `price`, None while that rests on a single look."""
        decision = decide(price)
        if decision is None:
            self._since = None
            return None
        if self._exchange.price_is_firm:
            return decision
        if self._since is None:
            self._since = now
            if (mark := self._mark()) is None:
                log.info("price %s would end the run or move its range: looking again", price)
                return None
            if decide(mark) is None:
                log.warning("price %s is a single print, the market is at %s", price, mark)
                self._since = None
                return None
            return decide(mark)
        self._since = min(self._since, now)  # a clock that was set back must not delay a stop loss
        return decision if now - self._since >= APART_S else None

    def _mark(self) -> Decimal | None:
        try:
            return self._exchange.mark_price()
        except ExchangeError:
            return None
