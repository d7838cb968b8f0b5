"""Read backpack's answers."""

from __future__ import annotations

from decimal import Decimal

from gridbot.exchanges.answers import Answers, Raw, decimal


class Backpack(Answers):
    """Read backpack's: its position is a signed quantity."""

    usual_maker_fee = Decimal("0.0002")  # unverified: of perpetuals, at the lowest tier

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal((raw.get("info") or {}).get("netQuantity"))
        return super().position(raw) if net is None else net
