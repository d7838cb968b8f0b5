"""Describe what closing a position needs of an exchange beside trading: orders that never rest, and a spot
balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.exchanges import venues
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.exchanges.values import decimal
from gridbot.model.errors import UnreachableError
from gridbot.model.types import ZERO


class CcxtClosing(CcxtExchange):
    """Send orders that are filled at once, as far as the book gives, and cancelled for the rest."""

    def _order_params(self) -> dict[str, Any]:
        return {"timeInForce": self._venue.immediate}

    def held(self) -> Decimal:
        """Return what the account holds of a spot market's base currency and can sell."""
        base = str(self._loaded()["base"])
        balance = self._call(self._api.fetch_balance, {"type": "spot"} if self._id == "aster" else {})
        if self._id == "aster":
            self._rows(self._api.fetch_balance)
        if not isinstance(balance, dict):
            raise UnreachableError(f"{self._id} answered something that is no balance")
        free = (balance.get(base) or {}).get("free")
        if base not in balance:
            return ZERO
        amount = decimal(free)
        if amount is None:
            raise UnreachableError(f"{self._id} does not say how much {base} can be sold")
        return amount


def account_name(exchange: str, env: Mapping[str, str]) -> str:
    """Return a name by which a person knows the account: the variable of its key, and the key's end."""
    venue = venues.VENUES[exchange]
    known = {**venue.keys, **venue.optional}[venue.account_key]
    for name in known:
        if env.get(name):
            return f"{name} …{env[name][-4:]}"
    secret = (name for names in venue.keys.values() for name in names)
    return next((name for name in secret if env.get(name)), "")
