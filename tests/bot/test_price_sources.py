"""Price sources, and the paper exchange that fills against them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.exchanges import price_sources as market
from gridbot.exchanges.paper import PaperExchange
from gridbot.exchanges.price_sources import EndOfDataError, ReplayPrices, SyntheticPrices, assumed_market
from gridbot.model.errors import ConfigError, RejectedError
from gridbot.model.types import Order, Side
from tests.bot.worlds import PERP

D = Decimal


def synthetic(seed: str, start: Decimal | None = None) -> tuple[SyntheticPrices, list[float]]:
    now = [0.0]
    return SyntheticPrices(seed, 150, 2, 8, D("0.01"), start, clock=lambda: now[0]), now


def walk(seed: str, seconds: int, start: Decimal | None = None) -> list[Decimal]:
    source, now = synthetic(seed, start)
    prices = []
    for second in range(seconds):
        now[0] = float(second)
        prices += source.next_prices()
    return prices


def test_the_same_seed_walks_the_same_way() -> None:
    assert walk("bp_sol_01", 60) == walk("bp_sol_01", 60)
    assert walk("bp_sol_01", 60) != walk("bp_sol_02", 60)


def test_the_walk_begins_inside_and_stays_around() -> None:
    for seed in "abcdefgh":
        prices = walk(seed, 3600)
        assert abs(prices[0] - 150) < 2
        assert min(prices) > 110
        assert max(prices) < 190
        assert all(price % D("0.01") == 0 for price in prices)


def test_a_walk_moves_enough_for_fills_in_the_first_seconds() -> None:
    for seed in "abcdefghijklmnop":
        prices = walk(seed, 20)
        assert max(prices) - min(prices) > 2, "less than one level in 20 s"


def test_a_restart_goes_on_where_the_price_was() -> None:
    assert walk("a", 1, start=D("143.21")) == [D("143.21")]


def test_a_long_sleep_is_not_walked_in_full() -> None:
    source, now = synthetic("a")
    now[0] = 86400.0
    assert len(source.next_prices()) == market.MAX_STEPS
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
    [(_, found)] = paper.find([order(1, "buy", "98")])
    assert found is not None
    assert (found.open, found.filled) == (False, D(1))


def test_paper_takes_at_the_price_and_refuses_post_only() -> None:
    paper = PaperExchange(lambda: PERP, Scripted(["100"]))
    paper.price()
    with pytest.raises(RejectedError):
        paper.place(order(1, "buy", "101", post_only=True))
    paper.place(order(2, "buy", "101"))
    paper.place(order(3, "sell", "1", is_market=True))
    assert [(f.client_id, f.price, f.maker) for f in paper.fills(0)] == [
        (2, D(100), False),
        (3, D(100), False),
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
