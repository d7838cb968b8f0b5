"""Log what a run does, for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from gridbot.model.types import Fill, Market, Order, Side, as_text
from gridbot.runtime.log import log
from gridbot.store.ledger import Ledger

SUMMARY_EVERY_S = 60.0


class TradeLog:
    """Log the fills and orders of one market."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._summary_logged_at = 0.0

    def summary(
        self, now: float, price: Decimal, ledger: Ledger, live_orders: Callable[[], Sequence[Order]]
    ) -> None:
        """Log price, orders and position once a minute."""
        if 0 <= now - self._summary_logged_at < SUMMARY_EVERY_S:
            return
        self._summary_logged_at = now
        orders = live_orders()
        buys = sum(order.side is Side.BUY for order in orders)
        log.info(
            "price %s  orders %d buy %d sell  %s",
            as_text(price),
            buys,
            len(orders) - buys,
            self._holding(price, ledger),
        )

    def fill(self, fill: Fill, order: Order, ledger_after: Ledger, price: Decimal) -> None:
        """Log a new fill, and what is held after it, valued at `price`."""
        part = "" if fill.qty == order.qty else f" of {as_text(order.qty)}"
        log.info(
            "filled %-4s %s%s @ %s  %s",
            fill.side.upper(),
            as_text(fill.qty),
            part,
            as_text(fill.price),
            self._holding(price, ledger_after),
        )

    def placed(self, orders: Sequence[Order]) -> None:
        """Log new orders: many of them as their range."""
        if len(orders) <= 2:
            for order in orders:
                price = "market" if order.market else as_text(order.price)
                log.info("placed %-4s %s @ %s", order.side.upper(), as_text(order.qty), price)
            return
        for side in Side:
            prices = sorted(order.price for order in orders if order.side is side)
            if prices:
                log.info(
                    "placed %d %s orders %s-%s",
                    len(prices),
                    side.upper(),
                    as_text(prices[0]),
                    as_text(prices[-1]),
                )

    def _holding(self, price: Decimal, ledger_after: Ledger) -> str:
        position = f"position {as_text(ledger_after.position)} {self._market.base}"
        return f"{position}  P&L {ledger_after.pnl(price):+.4f} {self._market.quote}"
