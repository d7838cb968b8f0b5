"""The fake exchange's matching engine: one market, one account, and everything that happened there."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)


class RefusalError(Exception):
    """A definite no, with the code Backpack would give."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class BookOrder:
    id: str
    client_id: int | None
    side: str  # Bid or Ask
    price: Decimal | None
    qty: Decimal
    at: float
    post_only: bool = False
    foreign: bool = False
    filled: Decimal = ZERO
    last_filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    status: str = "New"
    kind: str = "Limit"
    immediate: bool = False
    symbol: str = "SOL_USDC_PERP"

    @property
    def open(self) -> bool:
        return self.status in ("New", "PartiallyFilled")


@dataclass
class BookFill:
    id: int
    order: BookOrder
    price: Decimal
    qty: Decimal
    fee: Decimal
    at: float
    maker: bool


@dataclass
class Book:
    """Thread-safe. `history_lag` hides fills and ended orders from the history for that many seconds.

    `depth`: what an immediate order finds at the price. `balance`: what the account holds of a spot market's
    base currency beyond its trades. `exclusive`: only the bot trades on this account, so cancelling all
    orders is no violation.
    `state`: whether the market takes orders, in the exchange's word.
    `base_fees`: what is bought is paid for in it, as on many spot markets.
    `maker_points`: the fee that the account's page says, in basis points.
    `most`, `most_at_market`: what one order may be of.
    `covered`: of a spot market, where a sale of what is not there is refused.
    """

    symbol: str = "SOL_USDC_PERP"
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.01")
    price: Decimal = Decimal(150)
    partial_fills: float = 0.0
    history_lag: float = 0.0
    seed: int = 0
    exclusive: bool = False
    equity: Decimal = Decimal(10000)
    leverage: Decimal = Decimal(20)
    maker_points: Decimal = Decimal(2)
    most: Decimal | None = None
    most_at_market: Decimal | None = None
    depth: Decimal | None = None
    balance: Decimal = ZERO
    mark: Decimal | None = None
    funding: list[tuple[float, Decimal]] | None = None
    orders: dict[str, BookOrder] = field(default_factory=dict)
    fills: list[BookFill] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    base_fees: bool = False
    state: str = "Open"
    covered: bool = False

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._ids = itertools.count(4_000_000_001)
        self._fill_ids = itertools.count(9_000_001)
        self._random = random.Random(self.seed)
        self.on_fill: Callable[[BookOrder], None] = lambda _order: None

    def skip_ids(self, amount: int) -> None:
        """Count on from so many ids later: no two accounts of an exchange have an id in common."""
        self._ids = itertools.count(next(self._ids) + amount)
        self._fill_ids = itertools.count(next(self._fill_ids) + amount)

    def place(
        self,
        side: str,
        kind: str,
        price: Decimal | None,
        qty: Decimal,
        client_id: int | None = None,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
        foreign: bool = False,
        immediate: bool = False,
    ) -> BookOrder:
        with self.lock:
            if side not in ("Bid", "Ask") or kind not in ("Limit", "Market"):
                raise RefusalError("INVALID_CLIENT_REQUEST", "bad side or type")
            if qty < self.lot or qty % self.lot:
                raise RefusalError("INVALID_QUANTITY", "quantity is not a multiple of the step")
            most = self.most_at_market if kind == "Market" else self.most
            if most is not None and qty > most:
                raise RefusalError("INVALID_QUANTITY", "quantity is above the maximum")
            if client_id is not None and not 0 <= client_id < 2**32:
                raise RefusalError("INVALID_CLIENT_REQUEST", "clientId is not a uint32")
            if client_id is not None and any(
                o.open and o.client_id == client_id for o in self.orders.values()
            ):
                raise RefusalError("INVALID_ORDER", "clientId is in use")
            if self.covered and side == "Ask" and not foreign and qty > self.coins():
                raise RefusalError("INSUFFICIENT_FUNDS", "Insufficient funds")
            position = self.position()
            if reduce_only and (position == 0 or (position > 0) == (side == "Bid")):
                raise RefusalError("INVALID_ORDER", "reduce only order would increase the position")
            order = BookOrder(
                str(next(self._ids)),
                client_id,
                side,
                price,
                qty,
                self.clock(),
                post_only,
                foreign,
                kind=kind,
                symbol=self.symbol,
                immediate=immediate,
            )
            if kind == "Market":
                self.orders[order.id] = order
                self._fill(order, self.price, min(qty, abs(position)) if reduce_only else qty, maker=False)
                if order.open:
                    order.status = "Cancelled"
                return order
            if price is None or price <= 0 or price % self.tick:
                raise RefusalError("INVALID_PRICE", "price is not a multiple of the tick")
            crosses = self._passed(order, self.price, touch=False)
            if crosses and post_only:
                raise RefusalError("INVALID_ORDER", "Order would immediately match and take")
            if not foreign and not immediate:
                self._watch(order)
            self.orders[order.id] = order
            if crosses:
                most = qty if self.depth is None or not immediate else min(qty, self.depth)
                self._fill(order, self.price, min(most, abs(position)) if reduce_only else most, maker=False)
            if immediate and order.open:
                order.status = "Cancelled"
            return order

    def cancel(self, order_id: str) -> BookOrder:
        with self.lock:
            order = self.orders.get(order_id)
            if order is None or not order.open:
                raise RefusalError("RESOURCE_NOT_FOUND", "Order not found", 404)
            if order.foreign:
                self.violations.append(f"foreign order {order.id} was cancelled")
            order.status = "Cancelled"
            return order

    def cancel_all(self) -> list[BookOrder]:
        with self.lock:
            if not self.exclusive:
                self.violations.append("all orders of the symbol were cancelled")
            return [self.cancel(order.id) for order in self.open_orders()]

    def move(self, price: Decimal) -> None:
        """The market trades at `price`; resting orders it touches are filled, some of them in parts."""
        with self.lock:
            self.price = price
            for order in [o for o in self.orders.values() if o.open and not o.foreign]:
                if not self._passed(order, price, touch=True):
                    continue
                assert order.price is not None
                left = order.qty - order.filled
                if left > self.lot and self._random.random() < self.partial_fills and order.price == price:
                    left = (left / 2 / self.lot).to_integral_value() * self.lot or self.lot
                self._fill(order, order.price, left, maker=True)

    def position(self) -> Decimal:
        with self.lock:
            return sum((f.qty if f.order.side == "Bid" else -f.qty for f in self.fills), ZERO)

    def coins(self) -> Decimal:
        """What is free of the base currency beside what was paid in it, and the bot's open sales."""
        with self.lock:
            fees = [
                fill.fee / fill.price for fill in self.fills if self.base_fees and fill.order.side == "Bid"
            ]
            bound = [order.qty - order.filled for order in self.own_open() if order.side == "Ask"]
            return self.balance + self.position() - sum((*fees, *bound), ZERO)

    def available(self) -> Decimal:
        """What is free of the equity beside the margin of the position and of the larger side's orders."""
        with self.lock:
            sides = {"Bid": self.position(), "Ask": -self.position()}
            for order in self.open_orders():
                sides[order.side] += order.qty - order.filled
            return self.equity - max(abs(self.position()), *sides.values()) * self.price / self.leverage

    def open_orders(self) -> list[BookOrder]:
        with self.lock:
            return [order for order in self.orders.values() if order.open]

    def own_open(self) -> list[BookOrder]:
        return [order for order in self.open_orders() if not order.foreign]

    def _passed(self, order: BookOrder, price: Decimal, *, touch: bool) -> bool:
        assert order.price is not None
        distance = (order.price - price) * (1 if order.side == "Bid" else -1)
        return distance >= 0 if touch else distance > 0

    def _fill(self, order: BookOrder, price: Decimal, qty: Decimal, *, maker: bool) -> None:
        rate = self.maker_fee if maker else self.taker_fee
        fee = (price * qty * rate).quantize(Decimal("1e-6"))
        self.fills.append(BookFill(next(self._fill_ids), order, price, qty, fee, self.clock(), maker))
        order.filled += qty
        order.last_filled = qty
        order.quote_filled += qty * price
        order.status = "Filled" if order.filled >= order.qty else "PartiallyFilled"
        self.on_fill(order)

    def _watch(self, new: BookOrder) -> None:
        """The invariant of the whole exercise: one open order of the bot at one price."""
        for order in self.own_open():
            if order.price == new.price:
                self.violations.append(
                    f"{new.side} {new.qty} @ {new.price} was placed while"
                    f" {order.side} {order.qty - order.filled} of order {order.id} stood there"
                )
