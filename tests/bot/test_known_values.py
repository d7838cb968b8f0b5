"""Known answers are compared whole, by sign, digits and limits: a value that loses one refuses live."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import answers, ccxt_client, ccxt_exchange, values
from gridbot.exchanges.answer_readers import READERS
from tests.bot.test_answer_check import MARKETS
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


# Lighter's and apex's fees are not read from ccxt's. Aster's documents have costs with either sign, and ccxt
# takes each for a cost.
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
