"""Read paradex's answers."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

from gridbot.exchanges.answers import Answers, Listed, Page, Raw, info_of
from gridbot.exchanges.values import decimal, number, positive, signed, text
from gridbot.model.types import Order


class Paradex(Answers):
    """Read paradex's: ccxt takes an unknown order for an invalid one."""

    causes = MappingProxyType({"NOT_ENOUGH_MARGIN": "insufficient_funds"})
    unknown_outcomes = ("INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "-32603", "DUPLICATED_CLIENT_ID")
    lists = MappingProxyType(
        dict.fromkeys(
            (
                "fetch_open_orders",
                "fetch_orders",
                "fetch_my_trades",
                "fetch_positions",
                "fetch_funding_history",
            ),
            ("results",),
        )
    )
    market_key = "market"
    end_key = "cancel_reason"
    # The first two are known from ccxt 4.5.90's parser, the third from its recorded answers.
    late_refusals = MappingProxyType(
        {
            "NOT_ENOUGH_MARGIN": "insufficient_funds",
            "ORDER_EXCEEDS_POSITION_LIMIT": "other",
            "BELOW_MIN": "below_minimum",
            "REDUCE_ONLY": "other",
        }
    )

    def is_missing_order(self, message: str) -> bool:
        return "ORDER_ID_NOT_FOUND" in message

    def max_orders(self, market: Raw) -> int | None:
        return number(info_of(market).get("max_open_orders"))

    def max_held(self, market: Raw) -> Decimal | None:
        # openapi.json 1.132.1 of github.com/tradeparadex/paradex-docs, 2026-08-20: MarketResp.
        return decimal(info_of(market).get("position_limit"))

    def is_refused_order(self, message: str) -> bool:
        return "VALIDATION_ERROR" in message

    def next_page(self, page: Page, listed: Listed) -> Page | None:
        cursor = text(listed.answer.get("next"))
        return Page(page.since, {"cursor": cursor}) if cursor and listed.trades else None

    def history_of(self, order: Order) -> dict[str, Any] | None:
        return {"client_id": str(order.client_id)}

    def position(self, raw: Raw) -> Decimal | None:
        info = info_of(raw)
        return signed(decimal(info.get("size")), info.get("side"))

    def _filled(self, raw: Raw) -> Decimal | None:
        # ccxt takes a remaining size of 0 for an unknown one, and an order without one for a filled one.
        info = info_of(raw)
        size, remaining = positive(info.get("size")), decimal(info.get("remaining_size"))
        # Of an order that is open or was cancelled something remains.
        is_whole = info.get("status") == "CLOSED" and text(info.get("cancel_reason")) is None
        return None if size is None or remaining is None or not (remaining or is_whole) else size - remaining

    def _is_open(self, raw: Raw) -> bool:
        # ccxt takes one for rejected that has any reason for its end.
        return info_of(raw).get("status") in ("NEW", "UNTRIGGERED", "OPEN") or super()._is_open(raw)
