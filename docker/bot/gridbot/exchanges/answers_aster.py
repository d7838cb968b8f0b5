"""Read aster's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, info_of
from gridbot.exchanges.values import decimal, number

# One answer covers no more than this; a start that is further back would hide what is newest.
WINDOW_MS = 7 * 86_400_000
# Of one address (docker/bot/requests.toml).
WEIGHT_A_MINUTE = 2400


class Aster(Answers):
    """Read aster's: without a notional ccxt loses the sign of a position; a week of executions at a time."""

    # Of a spot account; that of futures is a list by itself.
    lists = MappingProxyType({"fetch_balance": ("balances",)})

    # github.com/asterdex/api-docs, futures V3, "Error Codes", 2026-06-30: UNKNOWN, UNEXPECTED_RESP, TIMEOUT.
    unknown_outcomes = ("-1000", "-1006", "-1007")

    filled_key = "executedQty"

    def is_refused_order(self, message: str) -> bool:
        # The same document: MAX_OPEN_ORDER_EXCEEDED, which ccxt takes for too many requests.
        return '"code":-2025' in message.replace(" ", "")

    def used_part(self, headers: Raw) -> float | None:
        # github.com/asterdex/api-docs, futures V3, "IP Limits", 2026-06-30.
        used = decimal(headers.get("X-MBX-USED-WEIGHT-1M"))
        return None if used is None else float(used / WEIGHT_A_MINUTE)

    def is_ended_order(self, message: str, *, is_missing: bool) -> bool:
        # -2011, CANCEL_REJECTED, comes with other words, too, and ccxt takes each for an unknown order.
        return super().is_ended_order(message, is_missing=is_missing and "-2011" not in message)

    def first_page(self, since: int) -> Page:
        return _window(since)

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        times = [int(trade["timestamp"]) for trade in listed.trades if trade.get("timestamp")]
        if self.is_full(listed.trades) and times:
            # The same moment again: an execution of it may be on either page. A whole page of it is left.
            return _window(max(*times, page.since + 1))
        following = page.since + WINDOW_MS
        return _window(following) if following <= listed.now else None

    def next_funding(self, page: Page, listed: Listed) -> Page | None:
        # Oldest first, and of any time: github.com/asterdex/api-docs, futures V3, "Get Income History",
        # 2026-06-30.
        times = (int(payment["timestamp"]) for payment in listed.trades if payment.get("timestamp"))
        latest = max(times, default=0)
        return Page(latest) if len(listed.trades) >= self.most_on_page and latest > page.since else None

    def max_notional(self, market: Raw) -> Decimal | None:
        # Of spot; ccxt leaves it out.
        return decimal(_filter(market, "MAX_NOTIONAL").get("maxNotional"))

    def max_orders(self, market: Raw) -> int | None:
        return number(_filter(market, "MAX_NUM_ORDERS").get("limit"))

    def max_held_value(self, rows: Sequence[Any], market: Raw) -> Decimal | None:
        # github.com/asterdex/api-docs, futures V3, "Position Information V3", 2026-06-30: what a position may
        # be worth at the leverage that is set.
        own = [row for row in rows if isinstance(row, Mapping) and row.get("symbol") == market.get("id")]
        limits = (decimal(row.get("maxNotionalValue")) for row in own)
        return min((value for value in limits if value is not None and value > 0), default=None)

    def position(self, raw: Raw) -> Decimal | None:
        net = decimal(info_of(raw).get("positionAmt"))
        return super().position(raw) if net is None else net


def _filter(market: Raw, kind: str) -> Raw:
    """Return the exchange's own rule of that kind, an empty one where it has none."""
    filters = info_of(market).get("filters")
    rules = filters if isinstance(filters, list) else []
    return next((rule for rule in rules if isinstance(rule, dict) and rule.get("filterType") == kind), {})


def _window(since: int) -> Page:
    return Page(since, {"until": since + WINDOW_MS})
