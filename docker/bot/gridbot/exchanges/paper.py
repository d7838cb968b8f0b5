"""Simulate an exchange.

A resting order is filled when the market trades *through* its price, because at the price itself others were
first in the queue. An order that takes pays half of the spread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.price_sources import PriceSource
from gridbot.model.errors import RejectedError
from gridbot.model.types import ExchangeOrder, Fill, Funding, Market, Order, Side, ceil_to

MAKER_FEE = Decimal("0.0002")
TAKER_FEE = Decimal("0.0005")
# The distance of best bid and best ask from the price, as a share of it; one tick at least.
HALF_SPREAD = Decimal("0.0002")
# Closed orders that `find` still knows; the store has closed them long before.
KEPT_ORDERS = 500
FEE_STEP = Decimal("1e-8")


@dataclass(frozen=True, slots=True)
class Costs:
    """Hold what trading costs, as shares of the value or price; `fills_at_touch`: first in the queue.

    `fee_step`: what a fee is rounded to, None where it is exact.
    """

    maker_fee: Decimal = MAKER_FEE
    taker_fee: Decimal = TAKER_FEE
    half_spread: Decimal = HALF_SPREAD
    fills_at_touch: bool = False
    fee_step: Decimal | None = FEE_STEP


class PaperExchange:
    """Fill orders against a price source. Its orders end with the process; `find` tells the store so."""

    settle_s = clock_ahead = 0.0
    max_client_id = 2**32 - 1
    most_in_batch = 1
    has_cancel_all = False

    def __init__(
        self,
        market: Callable[[], Market],
        source: PriceSource,
        clock: Callable[[], float] = time.time,
        costs: Costs | None = None,
        mark: Callable[[], Decimal | None] | None = None,
    ) -> None:
        self._costs, self._mark = costs or Costs(), mark
        self.name = source.name
        # A generated or recorded price is the market itself.
        self.price_is_firm = source.name != "live"
        self._rules, self._source, self._clock = market, source, clock
        self._market: Market | None = None
        self._orders: dict[int, Order] = {}
        self._reports: dict[int, ExchangeOrder] = {}
        self._fills: list[Fill] = []
        self._price: Decimal | None = None
        self._note_best()
        # The start's time makes the ids unique across restarts.
        self._prefix = f"p{int(clock() * 1000):x}"
        self._ids = itertools.count(1)

    def market(self) -> Market:
        if self._market is None:
            self._market = self._rules()
        return self._market

    def price(self) -> Decimal:
        for price in self._source.next_prices():
            self._price = price
            # Most prices reach no order: two comparisons tell, however many there are.
            if self._highest_buy < price < self._lowest_sell:
                continue
            for order in list(self._orders.values()):
                distance = order.side.sign * (order.price - price)
                if distance > 0 or (distance == 0 and self._costs.fills_at_touch):
                    self._fill(order, order.price, self._costs.maker_fee, maker=True)
        assert self._price is not None
        return self._price

    def mark_price(self) -> Decimal | None:
        return None if self._mark is None else self._mark()

    def funding(self, since: float) -> list[Funding] | None:
        del since
        return []

    def place(self, order: Order) -> str:
        price = self._price if self._price is not None else self.price()
        best = self._best_price(order.side, price)
        crosses = order.market or order.side.sign * (order.price - best) >= 0
        if crosses and order.post_only:
            raise RejectedError("a post-only order would have traded at once")
        exchange_id = f"{self._prefix}-{next(self._ids)}"
        self._drop_old_orders()
        if crosses:
            self._reports[order.client_id] = self._report(order, exchange_id, order.qty, is_open=False)
            self._record(order, exchange_id, best, self._costs.taker_fee, maker=False)
        else:
            self._orders[order.client_id] = order
            self._note_best()
            self._reports[order.client_id] = self._report(order, exchange_id, Decimal(0), is_open=True)
        return exchange_id

    def cancel(self, order: Order) -> None:
        if self._orders.pop(order.client_id, None) is not None:
            self._note_best()
            known = self._reports[order.client_id]
            self._reports[order.client_id] = self._report(order, known.exchange_id, Decimal(0), is_open=False)

    def cancel_batch(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self.cancel(order)

    def cancel_all(self) -> None:
        self.cancel_batch(list(self._orders.values()))

    def cancel_all_after(self, seconds: int) -> None:
        """Do nothing: these orders end with this process."""

    def open_orders(self) -> list[ExchangeOrder]:
        return [self._reports[client_id] for client_id in self._orders]

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | None]]:
        for order in orders:
            yield order, self._reports.get(order.client_id)

    @property
    def has_fills(self) -> bool:
        """Tell whether `fills` would return some."""
        return bool(self._fills)

    def fills(self, since: float) -> list[Fill]:
        del since  # fills that were returned once are stored
        fills, self._fills = self._fills, []
        return fills

    def channels(self, most: int) -> list[Exchange]:
        del most
        return [self]

    def shorten_timeouts(self) -> None:
        """Do nothing, because no call here takes time."""

    def slow_down(self) -> None:
        """Do nothing, because no call here is refused."""

    def position(self) -> Decimal | None:
        return None

    def holdings(self) -> Decimal | None:
        return None

    def lent(self) -> Decimal | None:
        return None

    def _best_price(self, side: Side, price: Decimal) -> Decimal:
        """Return what an order on `side` that takes would pay or get."""
        tick = self.market().tick
        half = max(ceil_to(price * self._costs.half_spread, tick), tick)
        return price + half if side is Side.BUY else max(price - half, tick)

    def _note_best(self) -> None:
        orders = self._orders.values()
        self._highest_buy = max((o.price for o in orders if o.side is Side.BUY), default=Decimal(-1))
        self._lowest_sell = min((o.price for o in orders if o.side is Side.SELL), default=Decimal("Infinity"))

    def _drop_old_orders(self) -> None:
        if len(self._reports) > 2 * KEPT_ORDERS:
            for client_id in [known for known in self._reports if known not in self._orders][:KEPT_ORDERS]:
                del self._reports[client_id]

    def _fill(self, order: Order, price: Decimal, rate: Decimal, *, maker: bool) -> None:
        del self._orders[order.client_id]
        self._note_best()
        exchange_id = self._reports[order.client_id].exchange_id
        self._reports[order.client_id] = self._report(order, exchange_id, order.qty, is_open=False)
        self._record(order, exchange_id, price, rate, maker=maker)

    def _record(self, order: Order, exchange_id: str, price: Decimal, rate: Decimal, *, maker: bool) -> None:
        fee = price * order.qty * rate
        if self._costs.fee_step is not None:
            fee = fee.quantize(self._costs.fee_step)
        self._fills.append(
            Fill(
                f"t{exchange_id}",
                exchange_id,
                order.client_id,
                order.side,
                price,
                order.qty,
                fee,
                self.market().quote,
                self._clock(),
                maker,
            )
        )

    @staticmethod
    def _report(order: Order, exchange_id: str, filled: Decimal, *, is_open: bool) -> ExchangeOrder:
        return ExchangeOrder(
            exchange_id, order.client_id, Side(order.side), order.price, order.qty, filled, is_open
        )
