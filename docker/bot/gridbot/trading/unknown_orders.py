"""Tell where a bot places nothing because it is unknown what its orders have filled."""

from __future__ import annotations

from decimal import Decimal

from gridbot.model.condition import Code, Condition
from gridbot.model.types import as_text
from gridbot.trading.listing import Reconciliation

# By then what is listed late has come, and what no list has is given up.
UNKNOWN_FOR_S = 180.0


class UnknownOrders:
    """Hold since when none of a bot's orders rests, and some have ended with it unknown how."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}
        self.condition: Condition | None = None

    def look(self, result: Reconciliation, position: Decimal, now: float) -> None:
        """Take down a pass. `position`: what the bot's trades make."""
        is_stuck = result.unclear is None and result.unsettled > 0 and not result.listed
        missing = [order.client_id for order in result.missing] if is_stuck else []
        # A clock that was set back begins anew.
        self._since = {key: min(self._since.get(key, now), now) for key in missing}
        self.condition = None
        if any(now - since > UNKNOWN_FOR_S for since in self._since.values()):
            count = result.unsettled
            text = (
                f"what {count} of this bot's orders have filled is unknown: nothing is placed at their levels"
            )
            params = {"ledger": as_text(position), "account": "?", "cause": "unknown_orders", "count": count}
            self.condition = Condition(Code.LEDGER_DIFFERS, text, params)
