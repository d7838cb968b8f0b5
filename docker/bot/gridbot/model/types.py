"""The words the rooms share: sides, markets, orders, fills. Quantities are base units, prices quote per base unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: what a fill of 1 does to the position."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`."""
    return (value / step).to_integral_value(ROUND_CEILING) * step


def plain(value: Decimal) -> str:
    """`value` without exponent and trailing zeros: what is stored, logged and sent."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


@dataclass(frozen=True, slots=True)
class Market:
    """The rules of one market. `tick` and `lot` are the steps of price and quantity."""

    symbol: str
    base: str
    quote: str
    perp: bool
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal = ZERO

    def tradable(self, qty: Decimal, price: Decimal) -> bool:
        """Whether an order of `qty` (already a multiple of the lot) is large enough."""
        return qty >= self.min_qty and qty > 0 and qty * price >= self.min_notional


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order a strategy wants. `slot` is its place: at most one live order stands in a slot at any time."""

    slot: str
    side: Side
    price: Decimal
    qty: Decimal
    cell: int | None = None
    post_only: bool = False
    market: bool = False
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One order of ours, as the record has it.

    `state` is `new` (written down, and maybe sent), `open` (the exchange has confirmed it) or a way it ended:
    `filled`, `canceled`, `rejected`, `absent` (it never reached the exchange).
    """

    client_id: int
    slot: str
    side: Side
    price: Decimal
    qty: Decimal
    filled: Decimal
    state: str
    created_at: float
    cell: int | None = None
    exchange_id: str | None = None
    post_only: bool = False
    market: bool = False
    reduce_only: bool = False

    @property
    def live(self) -> bool:
        return self.state in ("new", "open")

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.filled

    def looks_like(self, there: ExchangeOrder) -> bool:
        """Whether `there` could be this order: a client id alone may be somebody else's."""
        return self.side is there.side and (self.market or there.price is None or self.price == there.price)


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order as the exchange reports it, ours or somebody else's. `client_id` is None where it isn't a number."""

    exchange_id: str
    client_id: int | None
    side: Side
    price: Decimal | None
    qty: Decimal
    filled: Decimal
    open: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution as the exchange reports it. `at` is the exchange's time, seconds since the epoch."""

    trade_id: str
    exchange_id: str
    client_id: int | None
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_currency: str
    at: float
    maker: bool = True
