"""Each value of a known answer is compared whole: its sign, its digits and its limits, else live is refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchanges import ccxt_client
from gridbot.exchanges.answer_readers import READERS
from tests.bot.test_answer_check import MARKETS
from tests.bot.test_known_calls import Market, require_refused

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
