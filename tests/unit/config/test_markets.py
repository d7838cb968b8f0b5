"""Which spellings of a symbol are one market: the manager says so only where the bot trades one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gridbot.exchanges import venues
from gridbot.model.errors import ConfigError
from manager.config import bot_environment, markets
from manager.config.bot_environment import LiveContainer, account_in
from manager.config.exchanges import EXCHANGES
from tests.bot.test_exchange_docs import LISTED
from tests.builders import a_fleet, a_spec

SPELLINGS = (
    *("SOL", "sol", "SOL_USDC_PERP", "SOL_USDC", "SOLUSDC", "SOL/USDC:USDC", "SOL/USDC", "SOL-PERP"),
    *("SOLUSDT", "solusdt", "SOL/USDT:USDT", "SOL/USDT", "SOL-USDT", "BTC", "btc", "BTCUSDT", "BTC-USDT"),
    *("BTC-USD", "BTC-USD-PERP", "BTCUSD", "BTC/USD:USDC", "BTC/USDC:USDC", "BTC-USDC", "1"),
)
KEYS = {"BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}


def traded(exchange: str, symbol: str, kind: str) -> Any:
    """Return the market that the bot trades, None where it refuses the symbol."""
    try:
        market = venues.find_market(symbol, LISTED[exchange], perp=kind == "perp")
    except ConfigError:
        return None
    return market["symbol"] if market and market["contract"] == (kind == "perp") else None


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_spellings_are_one_market_where_the_bot_trades_one(exchange: str) -> None:
    meant = {
        (symbol, kind): market
        for symbol in SPELLINGS
        for kind in ("perp", "spot")
        if (market := traded(exchange, symbol, kind))
    }
    assert len(set(meant.values())) < len(meant)
    for (one, other), (market, other_market) in zip(
        itertools.combinations(meant, 2), itertools.combinations(meant.values(), 2), strict=True
    ):
        is_one = markets.is_same(exchange, *one, *other)
        # A symbol that is written alike stays refused for both kinds, and a number says no currency.
        if one[0].lower() != other[0].lower() and "1" not in (one[0], other[0]):
            assert is_one == (market == other_market), (one, other)
        assert markets.base_of(one[0]) == markets.base_of(other[0]) or not is_one


def test_the_currencies_are_the_bots() -> None:
    assert markets.QUOTES == venues.QUOTES
    assert {name: one.quote for name, one in EXCHANGES.items()} == {
        name: venue.quote for name, venue in venues.VENUES.items()
    }


def test_at_an_exchange_of_another_bot_only_the_word_counts() -> None:
    assert markets.is_same("bybit", "SOLUSDT", "perp", "solusdt", "perp")
    assert not markets.is_same("bybit", "SOLUSDT", "perp", "SOL/USDT:USDT", "perp")


@pytest.mark.parametrize(
    ("symbol", "kind", "is_problem"),
    [
        ("SOL", "perp", True),
        ("SOL/USDC:USDC", "perp", True),
        ("SOL_USDC", "spot", False),
        ("SOL", "spot", False),
    ],
)
def test_another_spelling_is_no_way_round_the_check_of_accounts(
    symbol: str, kind: str, *, is_problem: bool
) -> None:
    market = {"symbol": symbol, "market_type": kind, "strategy": "perp_grid" if kind == "perp" else "grid"}
    first, other = a_spec("a", mode="live"), a_spec("b", mode="live", metadata=market)
    problems = bot_environment.credential_problems([first, other], a_fleet(), KEYS)
    assert bool(problems) == is_problem
    running = LiveContainer("b", "desk-b", "backpack", symbol, KEYS, kind)
    mine = bot_environment.account_of(first, a_fleet(), KEYS)
    assert bot_environment.is_same(mine, account_in(running)) == is_problem


@pytest.mark.parametrize(
    ("symbol", "other"),
    [("SUSD-USDC", "S-USDC"), ("SUSDE/USDC:USDC", "S/USDC:USDC"), ("LUSD_USDC_PERP", "L")],
)
def test_a_currency_that_ends_like_a_quote_is_no_other_currency(symbol: str, other: str) -> None:
    assert not markets.is_same("backpack", symbol, "perp", other, "perp")
    assert markets.base_of(symbol) != markets.base_of(other)
    joined = "".join(markets.WORD.findall(symbol)[:2])
    assert markets.is_same("backpack", symbol, "perp", joined, "perp")
    assert markets.base_of(symbol) == markets.base_of(joined)
