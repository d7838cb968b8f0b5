"""Define sides, markets, orders and fills. Quantities are in the base currency, prices in quote per base."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import NamedTuple

ZERO = Decimal(0)
# Of the largest value of an order at the market: what it fills at is known only afterwards.
MARKET_SHARE = Decimal("0.9")


class Side(StrEnum):
    """Name the two sides of the book."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return +1 for a buy and -1 for a sell, the change of position that a fill of 1 makes."""
        return 1 if self is Side.BUY else -1


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` at or below `value`."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` at or above `value`."""
    return (value / step).to_integral_value(ROUND_CEILING) * step


def as_text(value: Decimal) -> str:
    """Format `value` without exponent and trailing zeros, as it is stored, logged and served."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


@dataclass(frozen=True, slots=True)
class Market:
    """Hold the rules of one market. `tick` and `lot` are the steps of price and quantity.

    One order may be of `max_qty` and `max_notional` at most, one at the market of `max_market_qty` besides,
    `max_orders` of an account may rest, and it may hold `max_held`; None where the exchange says no such
    limit.
    """

    symbol: str
    base: str
    quote: str
    perp: bool
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal = ZERO
    max_qty: Decimal | None = None
    max_market_qty: Decimal | None = None
    max_notional: Decimal | None = None
    max_orders: int | None = None
    max_held: Decimal | None = None

    def is_tradable(self, qty: Decimal, price: Decimal) -> bool:
        """Tell whether an order of `qty`, a multiple of the lot, is large enough for the exchange."""
        return qty >= self.min_qty and qty > 0 and qty * price >= self.min_notional

    def smallest_order(self, price: Decimal) -> Decimal:
        """Return the smallest quantity of an order at `price`: what is less than that cannot be closed."""
        return ceil_to(max(self.min_qty, self.lot, self.min_notional / price), self.lot)

    def largest_order(self, price: Decimal, *, is_market: bool = False) -> Decimal | None:
        """Return the largest quantity of an order at `price`, None where there is no limit."""
        value = self.max_notional
        if value is not None:
            value = value / price * (MARKET_SHARE if is_market else 1)
        known = [
            limit
            for limit in (self.max_qty, self.max_market_qty if is_market else None, value)
            if limit is not None
        ]
        return floor_to(min(known), self.lot) if known else None

    def one_order(self, qty: Decimal, price: Decimal, *, is_market: bool = False) -> Decimal:
        """Return how much of `qty` the next order may be of, so that the rest is large enough for another."""
        most = self.largest_order(price, is_market=is_market)
        if most is None or qty <= most:
            return qty
        least = self.smallest_order(price)
        return min(most, max(floor_to(qty - least, self.lot), least))


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Describe an order to place.

    `slot` names its place in the strategy; a slot holds at most one live order.
    """

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
    """Hold one order of this bot, as the database has it.

    `state` is `new` (stored, and possibly sent), `open` (confirmed by the exchange), or final: `filled`,
    `canceled`, `rejected`, `absent` (it never reached the exchange).
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
        """Tell whether the order may be open at the exchange."""
        return self.state in ("new", "open")

    @property
    def remaining(self) -> Decimal:
        """Return the quantity that is not filled yet."""
        return self.qty - self.filled

    def matches(self, exchange_order: ExchangeOrder) -> bool:
        """Compare side and price with an order of the exchange.

        Another program on the same account may have used the same client id, so an equal id proves nothing.
        """
        return self.side is exchange_order.side and (
            self.market or exchange_order.price is None or self.price == exchange_order.price
        )


class LateRefusal(NamedTuple):
    """Say why an exchange has ended an order that it had accepted, as it refuses others at once."""

    text: str
    cause: str


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """Hold an order as the exchange reports it, of this bot or of another program.

    `client_id` is None where it isn't a number, `qty`, `filled`, `average` (the price of its fills) and `fee`
    (what they cost so far, in the quote currency) where the exchange doesn't say. `refusal`: of one that it
    has refused after all.
    """

    exchange_id: str
    client_id: int | None
    side: Side
    price: Decimal | None
    qty: Decimal | None
    filled: Decimal | None
    open: bool
    average: Decimal | None = None
    fee: Decimal | None = None
    refusal: LateRefusal | None = None

    def may_be(self, order: Order) -> bool:
        """Tell whether this may be `order`, of which no id is known: it bears no client id, and its terms."""
        is_nameless = self.client_id is None and order.exchange_id is None
        is_alike = self.side is order.side and self.price in (None, order.price)
        return is_nameless and is_alike and self.qty in (None, order.qty)


@dataclass(frozen=True, slots=True)
class UnreadableOrder:
    """Hold a row of a list of orders that lacks what tells an order; `why` says what."""

    exchange_id: str | None
    client_id: int | None
    why: str

    def may_be(self, order: Order) -> bool:
        """Tell whether the row may be that order's: nothing that it says is another's."""
        if self.exchange_id is not None and order.exchange_id is not None:
            return self.exchange_id == order.exchange_id
        return self.client_id is None or self.client_id == order.client_id


@dataclass(frozen=True, slots=True)
class Funding:
    """Hold a funding payment in the quote currency, below 0 when it was paid and above when received.

    `former_id`: under which an earlier version of this bot may have stored it.
    """

    id: str
    at: float
    amount: Decimal
    former_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """Hold an execution as the exchange reports it. `at` is the exchange's time, seconds since the epoch."""

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


@dataclass(frozen=True, slots=True)
class ToldFill:
    """Hold what a socket tells of an order: how much of it is `filled`. It may be old, repeated or wrong.

    `side` is None where the exchange doesn't say that of the order.
    """

    exchange_id: str
    client_id: int
    side: Side | None
    price: Decimal
    qty: Decimal
    filled: Decimal


@dataclass(frozen=True, slots=True)
class SpotCoins:
    """Say what is known of a spot account's base currency before a sale of what is only told to be bought.

    `beyond`: what it holds beyond this bot's trades, which is another's. `kept`: the share of a purchase that
    is left after its fee.
    """

    beyond: Decimal
    kept: Decimal

    def cover(self, request: OrderRequest, free: Decimal, bought: Decimal) -> bool:
        """Tell whether a sale is covered by what is told to be bought, and can't be by what is another's.

        `free`: what this bot holds beside its sell orders.
        """
        return request.side is Side.SELL and free + self.beyond < request.qty <= free + bought


@dataclass(frozen=True, slots=True)
class UnreadableFill:
    """Hold an execution whose listing lacks something that a `Fill` needs; `why` says what."""

    trade_id: str | None
    exchange_id: str | None
    client_id: int | None
    why: str
