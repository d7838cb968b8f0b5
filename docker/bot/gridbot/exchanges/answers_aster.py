"""Read aster's answers."""

from __future__ import annotations

from decimal import Decimal

from gridbot.exchanges.answers import Answers, Raw, decimal


class Aster(Answers):
    """Read aster's: without a notional ccxt loses the sign of a position."""

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal((raw.get("info") or {}).get("positionAmt"))
        return super().position(raw) if net is None else net
