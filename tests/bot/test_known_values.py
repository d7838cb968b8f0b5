"""Known answers are compared whole, by sign, digits and limits: a value that loses one refuses live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import answer_check, answers, ccxt_client, ccxt_exchange, values
from gridbot.exchanges.answer_readers import READERS
from gridbot.model.types import Market as Rules
from tests.bot.test_answer_check import MARKETS, settings_of
from tests.bot.test_known_calls import FUNDED, MARKED, Market, require_refused

Change = Callable[[Any], Any]


def parse_otherwise(patch: pytest.MonkeyPatch, exchange: str, parse: str, change: Change) -> None:
    """Have ccxt's class change what it makes of an answer."""
    ccxt_class = ccxt_client.load(exchange)
    own = getattr(ccxt_class, parse)
    patch.setattr(ccxt_class, parse, lambda self, *terms, **named: change(own(self, *terms, **named)))


# the sign of a fee: one below 0 is paid to the account


def _paid_by(cost: Any) -> Any:
    return None if cost is None else abs(float(cost))


def _paid_to(cost: Any) -> Any:
    return None if cost is None else -abs(float(cost))


# Lighter's and apex's fees are not read from ccxt's. The sign of aster's is not known: ccxt takes each for
# a cost.
OF_CCXT = [market for market in MARKETS if market[0] not in ("lighter", "apex")]
SIGNLESS = [
    (market, sign)
    for market in MARKETS
    for sign in (_paid_by, _paid_to)
    if market[0] != "aster" or sign is _paid_to
]


@pytest.mark.parametrize(("market", "sign"), [one for one in SIGNLESS if one[0] in OF_CCXT])
def test_a_ccxt_that_loses_the_sign_of_a_fee_refuses_live(
    market: Market, sign: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(trade: dict[str, Any]) -> dict[str, Any]:
        return trade | {"fee": {**(trade["fee"] or {}), "cost": sign((trade["fee"] or {}).get("cost"))}}

    parse_otherwise(monkeypatch, market[0], "parse_trade", changed)
    require_refused(market, "executions: fee is ")


@pytest.mark.parametrize(("market", "sign"), SIGNLESS)
def test_a_reader_that_loses_the_sign_of_a_fee_refuses_live(
    market: Market, sign: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = READERS[market[0]]._fee

    def signless(self: Any, raw: Any) -> Any:
        fee, currency = own(self, raw)
        return None if fee is None else Decimal(str(sign(fee))), currency

    monkeypatch.setattr(READERS[market[0]], "_fee", signless)
    require_refused(market, "executions: fee is ")


# the digits of a number


def rounded(value: Any, write: str) -> Any:
    """Return a parsed answer with every number in it, but times and the exchange's own row, written anew."""
    if isinstance(value, dict):
        kept = ("info", "timestamp", "nonce")
        return {key: one if key in kept else rounded(one, write) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one, write) for one in value]
    is_number = isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))
    return float(write.format(value)) if is_number else value


PARSED = [
    ("parse_ticker", MARKETS, "price"),
    ("parse_order_book", MARKETS, "order book"),
    ("parse_trade", MARKETS, "executions"),
    ("parse_order", MARKETS, "order"),
    ("parse_balance", [market for market in MARKETS if market[1] == "spot"], "balance|what can be sold"),
    ("fetch_funding_rate", MARKED, "mark price"),
    ("fetch_funding_history", FUNDED, "funding payments"),
]


@pytest.mark.parametrize("write", ["{:.1f}", "{:.2f}", "{:.0f}"])
@pytest.mark.parametrize(
    ("parse", "market", "of"),
    [
        pytest.param(parse, market, of, id=f"{parse}-{'-'.join(market)}")
        for parse, markets, of in PARSED
        for market in markets
    ],
)
def test_numbers_that_are_rounded_refuse_live(
    parse: str, market: Market, of: str, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse_otherwise(monkeypatch, market[0], parse, lambda answer: rounded(answer, write))
    require_refused(market, of)


@pytest.mark.parametrize("market", MARKETS)
def test_a_number_that_loses_its_last_digits_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is written with six of them."""
    parse_otherwise(monkeypatch, market[0], "parse_trade", lambda trade: rounded(trade, "{:g}"))
    require_refused(market, "executions: qty is ")


@pytest.mark.parametrize("market", MARKETS)
def test_a_number_that_is_too_small_to_be_read_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python writes those below 0.0001 with an exponent."""
    own = values.decimal
    for module in (values, answers, ccxt_exchange):
        name = "_decimal" if module is ccxt_exchange else "decimal"
        monkeypatch.setattr(module, name, lambda value: None if "e-" in str(value) else own(value))
    require_refused(market)


# the limits of an order and of an account

# What the bot reads of ccxt's market -> in which known markets it stands there.
LIMITS: dict[tuple[str, str], list[Market]] = {
    ("amount", "min"): [market for market in MARKETS if market[0] != "paradex"],
    ("amount", "max"): [market for market in MARKETS if market[0] != "lighter"],
    ("cost", "min"): [market for market in MARKETS if market[0] in ("aster", "paradex", "lighter")],
    ("cost", "max"): [("lighter", "perp")],
    ("market", "max"): [market for market in MARKETS if market[0] == "aster"],
}
# What it reads of the exchange's own.
OWN_LIMITS: dict[str, list[Market]] = {
    "max_notional": [("aster", "spot"), ("lighter", "perp")],
    "max_orders": [market for market in MARKETS if market[0] in ("aster", "paradex")],
    "max_held": [("paradex", "perp"), ("apex", "perp")],
}


def _changed(market: dict[str, Any], part: str, side: str, value: Any) -> dict[str, Any]:
    limits = market["limits"]
    return market | {"limits": limits | {part: {**limits.get(part, {}), side: value}}}


@pytest.mark.parametrize(
    ("limit", "market"),
    [
        pytest.param(limit, market, id=f"{'-'.join(limit)}-{'-'.join(market)}")
        for limit, markets in LIMITS.items()
        for market in markets
    ],
)
@pytest.mark.parametrize("value", [None, 0.07])
def test_a_limit_that_ccxt_loses_or_reads_otherwise_refuses_live(
    limit: tuple[str, str], market: Market, value: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse_otherwise(
        monkeypatch,
        market[0],
        "fetch_markets",
        lambda markets: [_changed(one, *limit, value) for one in markets],
    )
    require_refused(market, "the market's rules: (min|max)_")


@pytest.mark.parametrize("market", [one for one in MARKETS if one[0] != "aster"])
def test_a_limit_that_the_exchange_does_not_have_refuses_live(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too small makes a stop loss of many orders. Of ccxt's, aster has all that are read."""
    limit = next(limit for limit, markets in LIMITS.items() if market not in markets)
    parse_otherwise(
        monkeypatch,
        market[0],
        "fetch_markets",
        lambda markets: [_changed(one, *limit, 7.0) for one in markets],
    )
    require_refused(market, "the market's rules: (min|max)_.* is 7.0 instead of ")


@pytest.mark.parametrize(
    ("reader", "market"), [(reader, market) for reader, markets in OWN_LIMITS.items() for market in markets]
)
def test_a_limit_that_a_reader_loses_refuses_live(
    reader: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READERS[market[0]], reader, lambda *_: None)
    require_refused(market, f"the market's rules: {reader} is None instead of ")


@pytest.mark.parametrize("write", ["{:.1f}", "{:.2f}"])
@pytest.mark.parametrize("market", MARKETS)
def test_a_step_of_price_or_quantity_that_is_rounded_refuses_live(
    market: Market, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(markets: Any) -> Any:
        return [one | {"precision": rounded(one["precision"], write)} for one in markets]

    parse_otherwise(monkeypatch, market[0], "fetch_markets", changed)
    require_refused(market, "the market's rules: (tick|lot) is ")


@pytest.mark.parametrize("market", MARKETS)
def test_the_known_market_names_every_rule_and_has_a_smallest_order_of_its_own(market: Market) -> None:
    """A rule that is not named is not compared; and a lost minimum is read as the lot."""
    [case] = [case for case in answer_check.load(settings_of(*market))["cases"] if case["call"] == "market"]
    [rules] = case["must"]
    assert rules.keys() == {field.name for field in fields(Rules)} - {"symbol"}
    assert (rules["min_qty"] != rules["lot"]) == (market in LIMITS["amount", "min"])
    assert rules["tick"] != rules["lot"]
