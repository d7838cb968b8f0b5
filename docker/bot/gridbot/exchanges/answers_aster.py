"""Read aster's answers."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, decimal, info_of

# One answer covers no more than this; a start that is further back would hide what is newest.
WINDOW_MS = 7 * 86_400_000


class Aster(Answers):
    """Read aster's: without a notional ccxt loses the sign of a position; a week of executions at a time."""

    # Of a spot account; that of futures is a list by itself.
    lists = MappingProxyType({"fetch_balance": ("balances",)})

    def first_page(self, since: int) -> Page:
        return _window(since)

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        if len(listed.trades) >= self.most_on_page:
            # The same moment again: an execution of it may be on either page.
            return _window(max(int(trade["timestamp"]) for trade in listed.trades))
        following = page.since + WINDOW_MS
        return _window(following) if following <= listed.now else None

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal(info_of(raw).get("positionAmt"))
        return super().position(raw) if net is None else net


def _window(since: int) -> Page:
    return Page(since, {"until": since + WINDOW_MS})
