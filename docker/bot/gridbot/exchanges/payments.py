"""Read a funding payment as ccxt gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.exchanges.values import decimal
from gridbot.model.types import Funding


def payment_of(raw: Mapping[str, Any], market: Mapping[str, Any], payment_id: str | None) -> Funding | None:
    """Return a payment, None where it is not clear how much of the quote currency was paid, or when.

    One without an id of its own is told apart by its time: a market has one payment at a time.
    """
    info: Mapping[str, Any] = raw.get("info") or {}
    amount, at = decimal(raw.get("amount")), decimal(raw.get("timestamp"))
    # Aster pays in what the account has, and names it.
    if amount is None or at is None or info.get("asset") not in (None, market.get("settle")):
        return None
    return Funding(payment_id or f"{market.get('symbol')}@{at}", float(at) / 1000, amount)
