"""Nothing is lost in the books."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.model.types import ZERO, Fill, Side
from gridbot.store.ledger import Ledger, apply_fill, opening_ledger, position_change
from tests.cases import cases

D = Decimal


def fill(side: str, qty: str, price: str, fee: str = "0", currency: str = "USDC") -> Fill:
    return Fill("t", "x", 1, Side(side), D(price), D(qty), D(fee), currency, 0.0)


def after(*fills: Fill, start: Ledger | None = None) -> Ledger:
    ledger = start or Ledger()
    for one in fills:
        ledger = apply_fill(ledger, one, "SOL", "USDC")
    return ledger


def test_buy_and_sell() -> None:
    ledger = after(fill("buy", "2", "100", "0.1"), fill("sell", "1", "110", "0.1"))
    assert (ledger.position, ledger.average_price, ledger.realized, ledger.fees) == (
        D(1),
        D(100),
        D(10),
        D("0.2"),
    )
    assert ledger.unrealized(D(120)) == D(20)
    assert ledger.pnl(D(120)) == ledger.equity(D(120)) == D("29.8")
    assert (ledger.trades, ledger.volume) == (2, D(310))


def test_short_and_back() -> None:
    ledger = after(fill("sell", "2", "100"), fill("buy", "2", "90"))
    assert (ledger.position, ledger.cost, ledger.realized) == (ZERO, ZERO, D(20))


def test_through_zero() -> None:
    ledger = after(fill("buy", "1", "100"), fill("sell", "3", "110"))
    assert (ledger.position, ledger.average_price, ledger.realized) == (D(-2), D(110), D(10))


def test_a_fee_in_base_is_less_received() -> None:
    bought = fill("buy", "1", "100", "0.001", "SOL")
    assert position_change(bought, "SOL") == D("0.999")
    ledger = after(bought)
    assert (ledger.position, ledger.fees, ledger.pnl(D(100))) == (D("0.999"), D("0.1"), D("-0.1"))


def test_a_fee_in_a_third_currency_is_not_counted() -> None:
    assert after(fill("buy", "1", "100", "5", "BNB")).fees == 0


def test_a_carried_position_begins_at_zero_profit() -> None:
    ledger = opening_ledger(D(-3), D(50))
    assert ledger.pnl(D(50)) == ledger.equity(D(50)) == 0
    assert ledger.pnl(D(40)) == D(30)


trades = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.decimals("0.001", "50", places=3),
    st.decimals("0.01", "5000", places=2),
    st.decimals("-0.01", "1", places=6),
    st.sampled_from(["USDC", "USDC", "SOL"]),
)


@cases(short=150, long=5000)
@given(st.lists(trades, max_size=20), st.decimals("0.01", "5000", places=2))
def test_conservation(steps: list[tuple[str, Decimal, Decimal, Decimal, str]], price: Decimal) -> None:
    """cash + position * price is all that was paid and received, less fees, whatever the order of fills."""
    ledger, cash, position, fees = Ledger(), ZERO, ZERO, ZERO
    for side, qty, at, fee, currency in steps:
        one = Fill("t", "x", 1, Side(side), at, qty, fee, currency, 0.0)
        ledger = apply_fill(ledger, one, "SOL", "USDC")
        cash -= one.side.sign * qty * at + (fee if currency == "USDC" else ZERO)
        position += one.side.sign * qty - (fee if currency == "SOL" else ZERO)
        fees += fee if currency == "USDC" else fee * at
        assert (ledger.cash, ledger.position, ledger.fees) == (cash, position, fees)
        assert ledger.cash + ledger.cost == ledger.realized - ledger.fees
    assert ledger.equity(price) == cash + position * price == ledger.pnl(price)
    if position == 0:
        assert ledger.average_price == 0


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_closing_in_parts_leaves_no_cost(side: str) -> None:
    back = "sell" if side == "buy" else "buy"
    ledger = after(fill(side, "0.9", "100.01"), *[fill(back, "0.3", "99.97")] * 3)
    assert (ledger.position, ledger.cost) == (ZERO, ZERO)
