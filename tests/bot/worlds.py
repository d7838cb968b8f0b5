"""A market in memory that fills a strategy's orders, for properties over many random walks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from gridbot.model.types import ZERO, Fill, Market, Order, OrderRequest, Side, floor_to
from gridbot.store.ledger import Ledger, apply_fill, position_change
from gridbot.store.store import Store
from gridbot.strategies.grid import Plan

PERP = Market("SOL_USDC_PERP", "SOL", "USDC", True, Decimal("0.01"), Decimal("0.01"), Decimal("0.01"))
SPOT = replace(PERP, symbol="SOL_USDC", perp=False)
FEE = Decimal("0.0002")


def order_of(want: OrderRequest, client_id: int, state: str = "open") -> Order:
    return Order(
        client_id,
        want.slot,
        want.side,
        want.price,
        want.qty,
        ZERO,
        state,
        0.0,
        want.cell,
        f"x{client_id}",
        want.post_only,
        want.market,
        want.reduce_only,
    )


class World:
    """`plan(cells, live, price, position)` is asked after every move of the price."""

    def __init__(
        self,
        market: Market,
        price: Decimal,
        plan: Callable[[dict[int, Decimal], Sequence[Order], Decimal, Decimal], Plan],
        cells: dict[int, Decimal] | None = None,
        ledger: Ledger | None = None,
        fee_currency: str = "USDC",
    ) -> None:
        self.market, self.price, self._plan = market, price, plan
        self.cells, self.ledger, self.fee_currency = dict(cells or {}), ledger or Ledger(), fee_currency
        self.live: list[Order] = []
        self.fills: list[Fill] = []
        self._going: set[int] = set()
        self._ids = itertools.count(1)

    def move(self, price: Decimal, share: Decimal = Decimal(1)) -> None:
        """The price goes to `price`; what it passes is filled, what it only touches is filled in `share`."""
        self.price = price
        for order in list(self.live):
            distance = order.side.sign * (order.price - price)
            if distance > 0:
                self.fill(order, order.remaining, order.price)
            elif distance == 0:
                part = max(floor_to(order.remaining * share, self.market.lot), self.market.lot)
                self.fill(order, part, order.price)

    def act(self) -> Plan:
        """Carry a plan out; its cancellations take effect only before the next one, and may come too late."""
        self.live = [order for order in self.live if order.client_id not in self._going]
        plan = self._plan(self.cells, self.live, self.price, self.ledger.position)
        self._going = {order.client_id for order in plan.cancel}
        assert self._going <= {order.client_id for order in self.live}
        for want in plan.place:
            order = order_of(want, next(self._ids))
            crosses = want.side.sign * (want.price - self.price) > 0
            if crosses and want.post_only:
                continue
            self.live.append(order)
            if crosses:
                self.fill(order, order.qty, self.price)
        return plan

    def fill(self, order: Order, qty: Decimal, price: Decimal) -> None:
        fee = (price * qty * FEE if self.fee_currency == "USDC" else qty * FEE).quantize(Decimal("1e-8"))
        fill = Fill(
            f"t{len(self.fills)}",
            str(order.exchange_id),
            order.client_id,
            order.side,
            price,
            qty,
            fee,
            self.fee_currency,
            float(len(self.fills)),
        )
        self.fills.append(fill)
        self.ledger = apply_fill(self.ledger, fill, self.market.base, self.market.quote)
        if order.cell is not None:
            self.cells[order.cell] = self.cells.get(order.cell, ZERO) + position_change(
                fill, self.market.base
            )
        self.live.remove(order)
        left = replace(order, filled=order.filled + qty)
        if left.remaining > 0:
            self.live.append(left)

    def open(self, side: Side) -> Decimal:
        return sum((order.remaining for order in self.live if order.side is side), ZERO)


def begin_live_run(store: Store) -> None:
    store.begin_run("backpack SOL_USDC_PERP perp live", "live", {}, Ledger())
