"""Read paradex's answers."""

from __future__ import annotations

from gridbot.exchanges.answers import Answers


class Paradex(Answers):
    """Read paradex's: ccxt takes an unknown order for an invalid one."""

    def is_missing_order(self, message: str) -> bool:
        return "ORDER_ID_NOT_FOUND" in message
