"""The paper exchange: a wallet of its own, limit orders that fill when the price passes them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.price_sources import Source
from gridbot.model.errors import RejectedError
from gridbot.model.types import ExchangeOrder, Fill, Market, Order, Side

MAKER_FEE = Decimal("0.0002")
TAKER_FEE = Decimal("0.0005")
# Ended orders the exchange can still be asked about; the record has closed them long before.
REMEMBERED = 500
FEE_STEP = Decimal("1e-8")


class Paper:
    """Fills against a price source. Its orders live as long as the process; the record knows that by `find`."""

    settle_s = 0.0
    max_client_id = 2**32 - 1

    def __init__(
        self, market: Callable[[], Market], source: Source, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = source.name
        self._rules, self._source, self._clock = market, source, clock
        self._market: Market | None = None
        self._orders: dict[int, Order] = {}
        self._done: dict[int, ExchangeOrder] = {}
        self._fills: list[Fill] = []
        self._price: Decimal | None = None
        # Ids go on after a restart without a memory of the last one: the start's time is part of them.
        self._prefix = f"p{int(clock() * 1000):x}"
        self._ids = itertools.count(1)

    def market(self) -> Market:
        if self._market is None:
            self._market = self._rules()
        return self._market

    def price(self) -> Decimal:
        for price in self._source.path():
            self._price = price
            for order in list(self._orders.values()):
                if order.side.sign * (order.price - price) >= 0:
                    self._fill(order, order.price, MAKER_FEE, maker=True)
        assert self._price is not None
        return self._price

    def place(self, order: Order) -> str:
        price = self._price if self._price is not None else self.price()
        crosses = order.market or order.side.sign * (order.price - price) > 0
        if crosses and order.post_only:
            raise RejectedError("a post-only order would have traded at once")
        exchange_id = f"{self._prefix}-{next(self._ids)}"
        self._forget_old()
        if crosses:
            self._done[order.client_id] = self._report(order, exchange_id, order.qty, is_open=False)
            self._record(order, exchange_id, price, TAKER_FEE, maker=False)
        else:
            self._orders[order.client_id] = order
            self._done[order.client_id] = self._report(order, exchange_id, Decimal(0), is_open=True)
        return exchange_id

    def cancel(self, order: Order) -> None:
        if self._orders.pop(order.client_id, None) is not None:
            known = self._done[order.client_id]
            self._done[order.client_id] = self._report(order, known.exchange_id, Decimal(0), is_open=False)

    def open_orders(self) -> list[ExchangeOrder]:
        return [self._done[client_id] for client_id in self._orders]

    def find(self, orders: Sequence[Order]) -> Iterator[tuple[Order, ExchangeOrder | None]]:
        for order in orders:
            yield order, self._done.get(order.client_id)

    def fills(self, since: float) -> list[Fill]:
        del since  # what was handed over is in the record; a paper exchange need not remember it
        fills, self._fills = self._fills, []
        return fills

    def channels(self, most: int) -> list[Exchange]:
        del most
        return [self]

    def hurry(self) -> None:
        """Nothing here takes time."""

    def position(self) -> Decimal | None:
        return None

    def _forget_old(self) -> None:
        if len(self._done) > 2 * REMEMBERED:
            for client_id in [known for known in self._done if known not in self._orders][:REMEMBERED]:
                del self._done[client_id]

    def _fill(self, order: Order, price: Decimal, rate: Decimal, *, maker: bool) -> None:
        del self._orders[order.client_id]
        exchange_id = self._done[order.client_id].exchange_id
        self._done[order.client_id] = self._report(order, exchange_id, order.qty, is_open=False)
        self._record(order, exchange_id, price, rate, maker=maker)

    def _record(self, order: Order, exchange_id: str, price: Decimal, rate: Decimal, *, maker: bool) -> None:
        fee = (price * order.qty * rate).quantize(FEE_STEP)
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
