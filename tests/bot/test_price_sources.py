"""Price sources, and the paper exchange that fills against them."""

from __future__ import annotations

import contextlib
import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.config import args
from gridbot.exchanges import price_sources, venues
from gridbot.exchanges.paper import Costs, PaperExchange
from gridbot.exchanges.price_sources import (
    EndOfDataError,
    ReplayPrices,
    SyntheticPrices,
    assumed_market,
    synthetic_prices,
)
from gridbot.model.errors import ConfigError, RejectedError
from gridbot.model.types import Order, Side
from tests.bot.bots import GRID
from tests.bot.worlds import PERP
from tests.cases import cases

D = Decimal


def synthetic(seed: str, start: str = "150", *, is_new: bool = True) -> tuple[SyntheticPrices, list[float]]:
    now = [0.0]
    return SyntheticPrices(seed, D(start), D("0.01"), is_new=is_new, clock=lambda: now[0]), now


def walk(seed: str, seconds: int, step: int = 1) -> list[Decimal]:
    source, now = synthetic(seed)
    prices = []
    for second in range(0, seconds, step):
        now[0] = float(second)
        prices += source.next_prices()
    return prices


def test_the_same_seed_walks_the_same_way() -> None:
    assert walk("bp_sol_01", 60) == walk("bp_sol_01", 60)
    assert walk("bp_sol_01", 60) != walk("bp_sol_02", 60)


def test_prices_are_on_the_tick_and_above_zero() -> None:
    assert all(price % D("0.01") == 0 and price > 0 for price in walk("a", 1200))
    source = SyntheticPrices("a", D("0.01"), D("0.01"), clock=iter(range(10**6)).__next__)
    assert min(min(source.next_prices()) for _ in range(50)) == D("0.01")


def test_a_walk_moves_enough_for_fills_in_the_first_seconds() -> None:
    for seed in "abcdefghijklmnop":
        prices = walk(seed, 20)
        assert max(prices) - min(prices) > 1.5, "less than one percent in 20 s"


def test_the_market_has_neither_a_drift_nor_a_level_to_come_back_to() -> None:
    """Changes of the price add up as those of a random walk, and are not undone."""
    quarters, hours, means = [], [], []
    for number in range(40):
        prices = [float(price) for price in walk(f"s{number}", 3600, step=100)]
        logs = [math.log(price / 150) for price in prices]
        quarter = len(logs) // 4
        quarters += [(logs[(i + 1) * quarter - 1] - logs[i * quarter]) ** 2 for i in range(4)]
        hours.append(logs[-1] ** 2)
        means.append(prices[-1])
    ratio = (sum(hours) / len(hours)) / (4 * sum(quarters) / len(quarters))
    assert 0.6 < ratio < 1.6, "a pull to the middle makes this far smaller than 1"
    assert 145 < sum(means) / len(means) < 155


def test_the_market_knows_nothing_of_the_grid() -> None:
    """Two grids of one middle see one market; a narrow one doesn't make it calm."""
    walks = []
    for lower, upper, num in (("140", "160", "11"), ("50", "250", "11")):
        settings = args.parse(
            [*GRID[:6], "--grid-lower", lower, "--grid-upper", upper, "--grid-num", num, "--quantity", "1"],
            {},
        )
        source = synthetic_prices(settings, PERP, D(150), "seed")
        source._last -= 100
        walks.append(source.next_prices())
    assert walks[0] == walks[1]


def test_a_restart_goes_on_where_the_price_was() -> None:
    source, _ = synthetic("a", "143.21", is_new=False)
    assert source.next_prices() == [D("143.21")]


def test_a_long_sleep_is_not_walked_in_full() -> None:
    source, now = synthetic("a")
    now[0] = 86400.0
    assert len(source.next_prices()) == price_sources.MAX_STEPS
    now[0] += 1
    assert len(source.next_prices()) == 2


def replay(tmp_path: Path, text: str) -> ReplayPrices:
    file = tmp_path / "prices.csv"
    file.write_text(text)
    return ReplayPrices(file)


def test_a_replay_of_prices(tmp_path: Path) -> None:
    source = replay(tmp_path, "time,price\n1,100.5\n2,101\n")
    assert [source.next_prices(), source.next_prices()] == [[D("100.5")], [D(101)]]
    with pytest.raises(EndOfDataError):
        source.next_prices()


def test_a_replay_of_candles_walks_through_the_nearer_extreme_first(tmp_path: Path) -> None:
    source = replay(tmp_path, "Timestamp,Open,High,Low,Close,Volume\n1,100,110,95,105,7\n2,105,106,90,91,7\n")
    assert source.next_prices() == [D(100), D(95), D(110), D(105)]
    assert source.next_prices() == [D(105), D(106), D(90), D(91)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,volume\n1,2\n", "has no column price or close"),
        ("price\n", "has no rows"),
        ("", "has no column price or close"),
        ("price\n100\nabc\n", ":3: not a price"),
        ("price\n-1\n", ":2: not a price"),
        ("open,high,low,close\n1,2,0.5,nan\n", ":2: not a price"),
    ],
)
def test_a_bad_replay_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replay(tmp_path, text)


def test_a_missing_replay_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        ReplayPrices(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("lower", "upper", "quantity", "tick", "lot"),
    [
        ("130", "170", "0.1", "0.01", "0.1"),
        ("2800.5", "3600", "0.002", "0.1", "0.001"),
        ("0.00001", "0.00002", "1000", "1E-9", "1"),
        ("90000", "110000", "0.0001", "1", "0.0001"),
    ],
)
def test_invented_rules_suit_the_grid(lower: str, upper: str, quantity: str, tick: str, lot: str) -> None:
    rules = assumed_market(
        args.parse(
            [
                "--exchange",
                "backpack",
                "--symbol",
                "SOL_USDC_PERP",
                "--strategy",
                "perp_grid",
                "--grid-upper",
                upper,
                "--grid-lower",
                lower,
                "--quantity",
                quantity,
            ],
            {},
        )
    )
    assert (rules.base, rules.quote, rules.tick, rules.lot) == ("SOL", "USDC", D(tick), D(lot))


@pytest.mark.parametrize(
    ("exchange", "symbol", "currencies"),
    [
        ("aster", "SOLUSDT", ("SOL", "USDT")),
        ("aster", "SOL/USDT:USDT", ("SOL", "USDT")),
        ("aster", "ETHUSD1", ("ETH", "USD1")),
        ("paradex", "BTC-USD-PERP", ("BTC", "USD")),
        ("apex", "BTC-USDC", ("BTC", "USDC")),
        ("apex", "BTC", ("BTC", "USDT")),
        ("lighter", "ETH", ("ETH", "USDC")),
        ("backpack", "SOL_USDC_PERP", ("SOL", "USDC")),
        ("backpack", "SOL-PERP", ("SOL", "USDC")),
        ("backpack", "PERP_USDC_PERP", ("PERP", "USDC")),
        ("elsewhere", "USDT", ("USDT", "USDC")),
    ],
)
def test_paper_counts_in_the_currencies_of_the_symbol(
    exchange: str, symbol: str, currencies: tuple[str, str]
) -> None:
    assert venues.currencies(exchange, symbol) == currencies


class Scripted:
    name = "synthetic"

    def __init__(self, *paths: list[str]) -> None:
        self._paths = iter(paths)

    def next_prices(self) -> list[Decimal]:
        return [D(price) for price in next(self._paths)]


def order(number: int, side: str, price: str, *, post_only: bool = False, is_market: bool = False) -> Order:
    return Order(
        number,
        f"s{number}",
        Side(side),
        D(price),
        D(1),
        D(0),
        "new",
        0.0,
        post_only=post_only,
        market=is_market,
    )


def test_paper_fills_what_the_path_passes() -> None:
    paper = PaperExchange(lambda: PERP, Scripted(["100"], ["99", "97", "103"]), clock=lambda: 5.0)
    paper.price()
    paper.place(order(1, "buy", "98"))
    paper.place(order(2, "buy", "96"))
    paper.place(order(3, "sell", "102"))
    assert paper.price() == D(103)
    assert [(f.client_id, f.price, f.fee, f.maker) for f in paper.fills(0)] == [
        (1, D(98), D("0.0196"), True),
        (3, D(102), D("0.0204"), True),
    ]
    assert paper.fills(0) == []
    assert [o.client_id for o in paper.open_orders()] == [2]
    [(_, exchange_order)] = paper.find([order(1, "buy", "98")])
    assert exchange_order is not None
    assert (exchange_order.open, exchange_order.filled) == (False, D(1))


def test_paper_fills_need_a_print_through_the_price() -> None:
    paper = PaperExchange(lambda: PERP, Scripted(["100"], ["98", "102", "100"], ["97.99"], ["102.01"]))
    paper.price()
    paper.place(order(1, "buy", "98"))
    paper.place(order(2, "sell", "102"))
    paper.price()
    assert paper.fills(0) == [], "others were first in the queue"
    paper.price()
    assert [f.client_id for f in paper.fills(0)] == [1]
    paper.price()
    assert [f.client_id for f in paper.fills(0)] == [2]


def test_paper_pays_the_spread_and_refuses_post_only() -> None:
    paper = PaperExchange(lambda: PERP, Scripted(["100"]))
    paper.price()
    with pytest.raises(RejectedError):
        paper.place(order(1, "buy", "101", post_only=True))
    paper.place(order(2, "buy", "101"))
    paper.place(order(3, "sell", "1", is_market=True))
    paper.place(order(4, "buy", "100.01", post_only=True))  # inside the spread it rests
    assert [(f.client_id, f.price, f.maker) for f in paper.fills(0)] == [
        (2, D("100.02"), False),
        (3, D("99.98"), False),
    ]


def test_paper_forgets_ended_orders() -> None:
    paper = PaperExchange(lambda: PERP, Scripted(["100"]))
    paper.price()
    for number in range(1, 3000):
        one = order(number, "buy", "50")
        paper.place(one)
        if number % 7:
            paper.cancel(one)
    assert len(paper.open_orders()) == 428
    assert len(paper._reports) < 428 + 1100


LEVELS = st.integers(95, 105)
SIDES = st.sampled_from(["buy", "sell"])


@cases(150, 5000)
@given(
    st.lists(st.lists(LEVELS, min_size=1, max_size=6), min_size=1, max_size=12),
    st.lists(st.tuples(SIDES, LEVELS, st.integers(0, 11)), max_size=8),
    st.booleans(),
)
def test_paper_fills_what_a_print_has_gone_through_and_nothing_else(
    tape: list[list[int]], wanted: list[tuple[str, int, int]], is_first: bool
) -> None:
    """Prints at the price itself fill those who were first in the queue, however many there are."""
    costs = Costs(fills_at_touch=is_first)
    paper = PaperExchange(
        lambda: PERP, Scripted(["100"], *([str(price) for price in look] for look in tape)), costs=costs
    )
    paper.price()
    resting: dict[int, tuple[str, int]] = {}
    due: dict[int | None, int] = {}
    filled: dict[int | None, Decimal] = {}
    for at, look in enumerate(tape):
        for number, (side, price, when) in enumerate(wanted):
            if when == at:
                with contextlib.suppress(RejectedError):
                    paper.place(order(number, side, str(price), post_only=True))
                    resting[number] = side, price
        for number, (side, price) in resting.items():
            through = [seen - price if side == "sell" else price - seen for seen in look]
            if number not in due and (max(through) > 0 or (is_first and max(through) == 0)):
                due[number] = price
        paper.price()
        filled |= {fill.client_id: fill.price for fill in paper.fills(0)}
        assert filled == due
        assert {o.client_id for o in paper.open_orders()} == resting.keys() - due.keys()


@cases(150, 5000)
@given(SIDES, st.decimals("0.02", 100_000, places=2), st.decimals(0, "0.01", places=6), st.booleans())
def test_who_takes_on_paper_pays_the_spread_and_no_more_than_he_has_said(
    side: str, price: Decimal, half: Decimal, is_market: bool
) -> None:
    paper = PaperExchange(lambda: PERP, Scripted([str(price)]), costs=Costs(half_spread=half))
    paper.price()
    limit = price * 2 if side == "buy" else PERP.tick
    paper.place(order(1, side, str(limit), is_market=is_market))
    [fill] = paper.fills(0)
    paid = fill.price - price if side == "buy" else price - fill.price
    assert paid >= min(max(price * half, PERP.tick), price - PERP.tick)
    assert paid < price * half + 2 * PERP.tick
    assert fill.price <= limit if side == "buy" else fill.price >= limit
    assert not fill.maker
