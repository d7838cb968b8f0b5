"""Describe what closing a position needs of an exchange beside trading: orders that never rest, and a spot
balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.exchanges import venues
from gridbot.exchanges.ccxt_exchange import CcxtExchange


class CcxtClosing(CcxtExchange):
    """Send orders that are filled at once, as far as the book gives, and cancelled for the rest."""

    def _order_params(self) -> dict[str, Any]:
        return {"timeInForce": self._venue.immediate}

    def held(self) -> Decimal:
        """Return what the account holds of a spot market's base currency and can sell."""
        return self._part_of_balance("free")


def account_name(exchange: str, env: Mapping[str, str]) -> str:
    """Return a name by which a person knows the account: the variable of its key, and the key's end."""
    venue = venues.VENUES[exchange]
    known = {**venue.keys, **venue.optional}[venue.account_key]
    for name in known:
        if env.get(name):
            return f"{name} …{env[name][-4:]}"
    secret = (name for names in venue.keys.values() for name in names)
    return next((name for name in secret if env.get(name)), "")
