"""Backtests of every strategy: each amount by fractions, and a short grid as the mirror of a long one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from gridbot.config import args
from gridbot.exchanges.paper import Costs
from gridbot.exchanges.recording import Row
from gridbot.model.types import Fill, Market, Side
from gridbot.trading.backtest import Backtest, Result

D = Decimal
MARKET = Market("SOL_USDC_PERP", "SOL", "USDC", perp=True, tick=D("0.01"), lot=D("0.1"), min_qty=D("0.1"))
BASE = "--exchange backpack --symbol SOL_USDC_PERP --quantity 0.1"
GRID = f"{BASE} --strategy perp_grid --grid-lower 100 --grid-upper 140"
# A tolerance is a share of each bound, which is not the same above and below.
BOUNDS = "--enable-boundary-check --boundary-tolerance 0.01 --boundary-action"
STRATEGIES = {
    "standard": f"{BASE} --strategy standard --spread 0.5 --max-orders 3 --max-position 1",
    "long": f"{GRID} --grid-num 9 --grid-type long",
    "short": f"{GRID} --grid-num 9 --grid-type short",
    "neutral": f"{GRID} --grid-num 21 --grid-type neutral",
    "geometric": f"{GRID} --grid-num 5 --grid-type neutral --grid-mode geometric",
    "adjust_range": f"{GRID} --grid-num 9 --grid-type short {BOUNDS} adjust_range",
    "emergency_close": f"{GRID} --grid-num 9 --grid-type long {BOUNDS} emergency_close",
    "limits": f"{GRID} --grid-num 9 --grid-type neutral --stop-loss 3 --take-profit 4",
}
MAKER, TAKER = Fraction(2, 10_000), Fraction(5, 10_000)
STEP_S, FUNDING_S = 3600, 28_800


def walk(seed: int, *, count: int = 800) -> list[Decimal]:
    chance, cents, prices = random.Random(seed), 12_000, []
    for _ in range(count):
        cents = min(max(cents + chance.choice((-180, -75, -33, 33, 75, 180)), 8_500), 15_500)
        prices.append(D(cents + 1 if cents % 500 == 0 else cents) / 100)
    return prices


def run(line: str, prices: list[Decimal], rate: Decimal, costs: Costs) -> tuple[Result, list[Fill]]:
    test = Backtest(args.parse(line.split(), {}), MARKET, costs, rate)
    fills: list[Fill] = []
    add = test._store.add_trade

    def add_trade(fill: Fill, market: Market) -> None:
        fills.append(fill)
        add(fill, market)

    test._store.add_trade = add_trade  # type: ignore[method-assign]
    rows: list[Row] = [(1_700_000_000.0 + STEP_S * i, [price], None) for i, price in enumerate(prices)]
    return test.run(iter(rows)), fills


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rate", [D("0.0001"), D("-0.0003")])
def test_each_amount_is_what_the_trades_make(name: str, rate: Decimal) -> None:
    for seed in range(3):
        prices = walk(seed)
        costs = Costs(maker_fee=D("0.0002"), taker_fee=D("0.0005"))
        result, fills = run(STRATEGIES[name], prices, rate, costs)
        assert len(fills) == result.trades > 5
        cash = fees = position = funding = Fraction(0)
        due, pending, closings = None, list(fills), 0
        for number in range(result.rows):
            at = 1_700_000_000 + STEP_S * number
            if due is not None:
                funding -= position * Fraction(prices[number]) * Fraction(rate) * (at // FUNDING_S - due)
            due = at // FUNDING_S
            while pending and pending[0].at <= at:
                fill = pending.pop(0)
                qty = Fraction(fill.qty) * fill.side.sign
                value = Fraction(fill.price) * qty
                closings += position * qty < 0
                position, cash = position + qty, cash - value
                fees += abs(value) * (MAKER if fill.maker else TAKER)
        assert pending == []
        assert result.round_trips == closings
        pnl = cash - fees + funding + position * Fraction(prices[result.rows - 1])
        amounts = (result.position, result.fees, result.funding, result.pnl)
        assert tuple(map(Fraction, amounts)) == (position, fees, funding, pnl)


@pytest.mark.parametrize("levels", [3, 9])
@pytest.mark.parametrize("types", [("long", "short"), ("neutral", "neutral")])
@pytest.mark.parametrize("more", ["", f"{BOUNDS} adjust_range --boundary-tolerance 0"])
def test_a_short_grid_on_mirrored_prices_trades_as_a_long_one(
    levels: int, types: tuple[str, str], more: str
) -> None:
    free = Costs(maker_fee=D(0), taker_fee=D(0), half_spread=D(0))
    for seed in range(3):
        prices = walk(seed)
        line = f"{GRID} --grid-num {levels} {more} --grid-type"
        result, fills = run(f"{line} {types[0]}", prices, D(0), free)
        mirrored, others = run(f"{line} {types[1]}", [240 - price for price in prices], D(0), free)
        assert fills
        assert sorted((fill.at, fill.side is Side.BUY, fill.price) for fill in fills) == sorted(
            (fill.at, fill.side is Side.SELL, 240 - fill.price) for fill in others
        )
        assert (result.realized, result.position) == (mirrored.realized, -mirrored.position)


@pytest.mark.parametrize("kind", ["long", "short", "neutral"])
def test_funding_at_irregular_times_and_odd_fees_are_exact(kind: str) -> None:
    """Rows of one time, gaps over several payments, rows without a rate, rebates, and odd quantities."""
    line = f"{GRID.replace('0.1', '0.12345679')} --grid-num 9 --grid-type {kind}"
    for seed in range(3):
        chance, at = random.Random(seed), 1_700_000_000.0
        rows: list[Row] = []
        for price in walk(seed, count=300):
            at += chance.choice((0, 0.25, 977, 28_800, 100_000))
            rows.append((at, [price], chance.choice((None, None, D("0.00012345"), D("-0.000077")))))
        costs = Costs(D("-0.000123"), D("0.00045"), fee_step=None)
        test = Backtest(args.parse(line.split(), {}), replace(MARKET, lot=D("0.00000001")), costs, None)
        fills: list[Fill] = []
        take = test._store.add_trade

        def add_trade(
            fill: Fill, market: Market, fills: list[Fill] = fills, take: Callable[..., None] = take
        ) -> None:
            fills.append(fill)
            take(fill, market)

        test._store.add_trade = add_trade  # type: ignore[method-assign]
        counted: list[int] = []
        result = test.run(_counting(rows, fills, counted))
        cash = position = funding = rate = Fraction(0)
        for number, (at, [price], its_rate) in enumerate(rows):
            rate = rate if its_rate is None else Fraction(its_rate)
            # What is filled at a row is counted from the next one on.
            times = int(at // FUNDING_S) - int(rows[max(number - 1, 0)][0] // FUNDING_S)
            funding -= position * Fraction(price) * rate * times
            for fill in fills[counted[number] : counted[number + 1]]:
                qty = Fraction(fill.qty) * fill.side.sign
                share = Fraction(costs.maker_fee if fill.maker else costs.taker_fee)
                cash -= Fraction(fill.price) * (qty + abs(qty) * share)
                position += qty
        assert len(fills) > 5
        assert Fraction(result.funding) == funding != 0
        assert Fraction(result.pnl) == cash + position * Fraction(rows[-1][1][0]) + funding


def _counting(rows: list[Row], fills: list[Fill], counted: list[int]) -> Iterator[Row]:
    """Yield the rows, and take down how many fills there were before each one and at the end."""
    for row in rows:
        counted.append(len(fills))
        yield row
    counted.append(len(fills))
