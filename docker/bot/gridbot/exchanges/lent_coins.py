"""Find out what a spot account has lent: no balance tells of it, and it is the account's all the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from gridbot.exchanges.ccxt_calls import CcxtCalls
from gridbot.exchanges.values import decimal
from gridbot.model.types import ZERO


def read_lent(exchange: CcxtCalls, names: Collection[str | None]) -> Decimal | None:
    """Return how much of the currency with one of `names` is lent, None where that is not said.

    Raises ExchangeError.
    """
    if exchange.id == "aster":
        # Its spot account has no more than what is free and locked (github.com/asterdex/api-docs, spot V3,
        # "Account information", 2026-06-30).
        return ZERO
    if exchange.id != "backpack":
        return None
    # A currency that is not in the list is neither held nor lent (docs.backpack.exchange, "Get collateral",
    # 2025-11-12). What is staked is part of the balance there.
    answer = exchange.ask("privateGetApiV1CapitalCollateral")
    rows = answer.get("collateral") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return None
    own = next((row for row in rows if row.get("symbol") in names), {"lendQuantity": 0})
    lent = decimal(own.get("lendQuantity"))
    return None if lent is None else max(lent, ZERO)
