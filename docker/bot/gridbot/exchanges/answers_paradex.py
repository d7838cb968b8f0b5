"""Read paradex's answers."""

from __future__ import annotations

from decimal import Decimal

from gridbot.exchanges.answers import Answers, Raw, decimal


class Paradex(Answers):
    """Read paradex's: ccxt takes an unknown order for an invalid one."""

    def is_missing_order(self, message: str) -> bool:
        return "ORDER_ID_NOT_FOUND" in message

    def _filled(self, raw: Raw) -> Decimal | None:
        # ccxt takes a remaining size of 0 for an unknown one.
        info = raw.get("info") or {}
        size, remaining = decimal(info.get("size")), decimal(info.get("remaining_size"))
        return super()._filled(raw) if size is None or remaining is None else size - remaining
