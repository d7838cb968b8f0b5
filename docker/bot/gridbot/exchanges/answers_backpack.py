"""Read backpack's answers."""

from __future__ import annotations

from decimal import Decimal

from gridbot.exchanges.answers import Answers, Raw, decimal


class Backpack(Answers):
    """Read backpack's: its position is a signed quantity."""

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal((raw.get("info") or {}).get("netQuantity"))
        return super().position(raw) if net is None else net
