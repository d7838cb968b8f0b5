"""Keep position, cash and P&L exact: cash + position * price is the equity after every fill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.model.types import ZERO, Fill, Side

# The cost of a part of the position is a division and can't be exact; rounded to this step, sums of it are.
COST_STEP = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Hold amounts in the quote currency and `position` in the base currency, negative when short.

    `cost` is what the open position was paid with, signed like the position, so that
    ``cash + cost == realized - fees`` holds after every fill. `cash` begins at 0 and contains the fees.
    """

    position: Decimal = ZERO
    cost: Decimal = ZERO
    cash: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    volume: Decimal = ZERO
    trades: int = 0

    @property
    def average_price(self) -> Decimal:
        """Return the average entry price of the open position, 0 when flat."""
        return self.cost / self.position if self.position else ZERO

    def unrealized(self, price: Decimal) -> Decimal:
        """Return the profit of the open position at `price`, before fees."""
        return self.position * price - self.cost

    def pnl(self, price: Decimal) -> Decimal:
        """Return realised and unrealised profit after fees."""
        return self.realized + self.unrealized(price) - self.fees

    def equity(self, price: Decimal) -> Decimal:
        """Return cash + position * price, which equals `pnl` by construction."""
        return self.cash + self.position * price


def opening_ledger(position: Decimal, price: Decimal) -> Ledger:
    """Return a ledger that starts with `position`, valued at `price`: at that price its P&L is 0."""
    return Ledger(position=position, cost=position * price, cash=-position * price)


def position_change(fill: Fill, base: str) -> Decimal:
    """Return the change of position that a fill makes: its quantity less a fee taken in the base currency."""
    taken = fill.fee if fill.fee_currency == base else ZERO
    return fill.side.sign * fill.qty - taken


def apply_fill(ledger: Ledger, fill: Fill, base: str, quote: str) -> Ledger:
    """Return the ledger after `fill`. A fee in a third currency is not counted: its rate is unknown here."""
    value = fill.price * fill.qty
    change = position_change(fill, base)
    fee = (
        fill.fee
        if fill.fee_currency in (quote, "")
        else fill.fee * fill.price
        if fill.fee_currency == base
        else ZERO
    )
    position, cost, realized = ledger.position, ledger.cost, ledger.realized
    # A fee in base is a purchase of the full quantity whose fee part is handed over at the fill's price.
    gross = change * fill.price
    if position == 0 or (position > 0) == (change > 0):
        cost += gross
    elif abs(change) <= abs(position):
        part = cost if abs(change) == abs(position) else (cost * -change / position).quantize(COST_STEP)
        cost -= part
        realized += -gross - part
    else:  # through zero: close all, open the rest at the fill's price
        realized += position * fill.price - cost
        cost = (position + change) * fill.price
    cash = ledger.cash - fill.price * fill.qty * fill.side.sign
    if fill.fee_currency in (quote, ""):
        cash -= fill.fee
    return replace(
        ledger,
        position=position + change,
        cost=cost,
        cash=cash,
        realized=realized,
        fees=ledger.fees + fee,
        volume=ledger.volume + value,
        trades=ledger.trades + 1,
    )


def closing_side(position: Decimal) -> Side:
    """Return the side of the order that closes `position`."""
    return Side.SELL if position > 0 else Side.BUY
